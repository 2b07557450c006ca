"""Which pictures meet: index pairs in numpy, and the tf.data pipeline over them.

A pair is two row numbers of one array of pictures, so that a picture goes through the backbone once a
batch however many pairs it is in. Label 1 means different.
"""

import numpy as np
import tensorflow as tf


def senarathna(count):
    """Each good and each defective picture with an anchor (Senarathna and Wijesinghe 2025, section V.A).

    The paper does not say which anchor; here the k-th with the k-th, so a picture meets an anchor in
    the same augmentation. (The paper labels "similar" 1; label 1 means different here.)

    Args:
        count: pictures of each role, augmented ones included. The array of pictures holds the
            anchors, then the good, then the defective ones.

    Returns:
        ``(index, labels)``: int32 ``(2 count, 2)`` and float32 ``(2 count, 1)``.
    """
    anchor = np.arange(count)
    index = np.concatenate([np.stack([anchor, anchor + count], 1), np.stack([anchor, anchor + 2 * count], 1)])
    labels = np.repeat([0.0, 1.0], count)[:, None]
    return index.astype(np.int32), labels.astype(np.float32)


def batches(index, labels, batch_size, rng):
    """One epoch of batches, shuffled so that the pairs of one first picture stay together.

    Keeping them together is what makes a batch of P pairs hold fewer than 2 P pictures.

    Yields:
        ``(rows (U,), local (P, 2), labels (P, 1))``: the unique rows of the batch in the array of
        pictures, its pairs as positions in ``rows``, and its labels.
    """
    rank = rng.permutation(index.max() + 1)
    order = rng.permutation(len(index))
    order = order[np.argsort(rank[index[order, 0]], kind="stable")]
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        rows, local = np.unique(index[chosen], return_inverse=True)
        yield rows.astype(np.int32), local.reshape(-1, 2).astype(np.int32), labels[chosen]


def dataset(pictures, index, labels, batch_size, rng):
    """``((pictures (U, ...) float32, pairs (P, 2) int32), labels (P, 1))`` batches for ``fit``.

    Args:
        pictures: array ``(N, ...)``: uint8 RGB, or feature maps of a frozen backbone. Held once.
        index, labels: as `senarathna` returns them.
        batch_size: pairs a batch.
        rng: an ``np.random.Generator``; each pass over the dataset shuffles anew from it.
    """
    # Checked here, since tf.gather on a CPU would only fail batches later.
    if index.min() < 0 or index.max() >= len(pictures):
        raise ValueError(f"Expected pairs of {len(pictures)} pictures. Received: rows up to {index.max()}")
    held = tf.constant(pictures)
    pipeline = tf.data.Dataset.from_generator(
        lambda: batches(index, labels, batch_size, rng),
        output_signature=(
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, 2), tf.int32),
            tf.TensorSpec((None, 1), tf.float32),
        ),
    )
    pipeline = pipeline.apply(tf.data.experimental.assert_cardinality(-(-len(index) // batch_size)))
    pipeline = pipeline.map(lambda rows, local, y: ((tf.cast(tf.gather(held, rows), tf.float32), local), y))
    return pipeline.prefetch(2)
