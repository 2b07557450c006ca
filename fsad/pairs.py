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


def livieris(labels, groups, rng):
    """Two pairs a picture (Livieris et al. 2023, section 4): one with its own class, one with another.

    Partners are drawn at random, never of the picture's own group: a picture is not compared with itself, nor
    with a near-duplicate of itself. Where no such partner is, the pair is left out.

    Args:
        labels, groups: ``(n,)`` class and group numbers.
        rng: an ``np.random.Generator``.

    Returns:
        ``(index, labels)``: int32 ``(P, 2)`` and float32 ``(P, 1)``, P at most 2n: first the pairs of one class,
        label 0, then those of two classes, label 1, each in order of the first picture.
    """
    labels, groups = np.asarray(labels), np.asarray(groups)
    index, told = [], []
    for different in (0.0, 1.0):
        for k in range(len(labels)):
            others = np.flatnonzero(((labels != labels[k]) == bool(different)) & (groups != groups[k]))
            if len(others):
                index.append((k, rng.choice(others)))
                told.append(different)
    return np.array(index, np.int32).reshape(-1, 2), np.array(told, np.float32)[:, None]


def takimoto(labels):
    """All pairs of the training set (Takimoto et al. 2022, tables 6 and 7): 80 normal and 40 abnormal make 7140.

    Args:
        labels: ``(n,)``, 1 abnormal.

    Returns:
        ``(index, labels)``: int32 ``(n (n - 1) / 2, 2)``, and float32 of the same shape: different (1 or 0), and
        whether a normal picture is in the pair, as `fsad.losses.PairBalancedContrastiveLoss` takes them.
    """
    index = np.stack(np.triu_indices(len(labels), 1), 1)
    return index.astype(np.int32), _told(np.asarray(labels), index)


def _told(labels, index):
    sides = labels[index]
    return np.stack([sides[:, 0] != sides[:, 1], sides.min(1) == 0], 1).astype(np.float32)


def by_pairs(labels, size, rng):
    """One epoch of `takimoto` pairs in random batches of ``size``, as the paper has it; yields as `batches` does."""
    index, told = takimoto(labels)
    order = rng.permutation(len(index))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        rows, local = np.unique(index[chosen], return_inverse=True)
        yield rows.astype(np.int32), local.reshape(-1, 2).astype(np.int32), told[chosen]


def by_pictures(labels, size, rng):
    """One epoch of the same pairs, ``size`` pictures a step with all pairs among them, each pair once.

    The pictures are dealt anew into groups of ``size / 2`` each epoch, and each two groups make a step. Pairs
    between them come once by that; those within a group count in one of its steps only. A picture goes
    through the network once for each other group, instead of once for each other picture.
    """
    labels = np.asarray(labels)
    half = max(1, size // 2)
    groups = np.array_split(rng.permutation(len(labels)), max(2, -(-len(labels) // half)))
    first, second = np.triu_indices(len(groups), 1)
    within = {}  # the step that takes the pairs within a group: the first it is in
    for step in rng.permutation(len(first)):
        ours = [groups[g] for g in (first[step], second[step])]
        left, right = len(ours[0]), len(ours[1])
        local = [np.stack(np.meshgrid(np.arange(left), left + np.arange(right), indexing="ij"), -1).reshape(-1, 2)]
        for g, offset, count in ((first[step], 0, left), (second[step], left, right)):
            if within.setdefault(g, step) == step:
                local.append(offset + np.stack(np.triu_indices(count, 1), 1))
        local, rows = np.concatenate(local), np.concatenate(ours)
        yield rows.astype(np.int32), local.astype(np.int32), _told(labels, rows[local])


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
    return _pipeline(pictures, lambda: batches(index, labels, batch_size, rng), -(-len(index) // batch_size), 1)


def all_pairs_dataset(pictures, labels, batching, size, rng):
    """The same for all pairs of a training set, labels ``(P, 2)`` as `takimoto` gives them.

    Args:
        pictures, labels: ``(n, ...)`` and ``(n,)``, 1 abnormal.
        batching: ``"pairs"`` (`by_pairs`) or ``"pictures"`` (`by_pictures`).
        size: pairs, or pictures, a step.
        rng: an ``np.random.Generator``.
    """
    if batching not in BATCHINGS:
        raise ValueError(f"Expected a batching among {', '.join(BATCHINGS)}. Received: {batching!r}")
    return _pipeline(pictures, lambda: BATCHINGS[batching](labels, size, rng), steps(len(labels), batching, size), 2)


def steps(count, batching, size):
    """Steps of an epoch over all pairs of ``count`` pictures."""
    if batching == "pairs":
        return -(-count * (count - 1) // 2 // size)
    groups = max(2, -(-count // max(1, size // 2)))
    return groups * (groups - 1) // 2


BATCHINGS = {"pairs": by_pairs, "pictures": by_pictures}


def _pipeline(pictures, epoch, steps, columns):
    held = tf.constant(pictures)
    pipeline = tf.data.Dataset.from_generator(
        epoch,
        output_signature=(
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, 2), tf.int32),
            tf.TensorSpec((None, columns), tf.float32),
        ),
    )
    pipeline = pipeline.apply(tf.data.experimental.assert_cardinality(steps))
    pipeline = pipeline.map(lambda rows, local, y: ((tf.cast(tf.gather(held, rows), tf.float32), local), y))
    return pipeline.prefetch(2)
