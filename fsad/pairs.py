"""Which images meet: index pairs, batches of them, and the tf.data pipeline that looks the images up.

A pair is two row numbers of one array of images, so that an image goes through the backbone once per batch however many
pairs it is in. Label 1 means different.

A *pairing* is a function ``(labels, groups, rng) -> (index, pair_labels)``: int32 ``(P, 2)`` and float32 ``(P, k)``,
from the labels ``(n,)`` of n images and the groups ``(n,)`` of those that show one part. A *batching* is a function
``(index, size, rng) -> (order, sizes)``: one epoch, the pairs in the order they are seen and how many each step takes.
"""

import numpy as np
import tensorflow as tf


def good(labels):
    """Rows of the good images."""
    return np.flatnonzero(np.asarray(labels) == 0)


def anchors(labels):
    """Rows of the images that `anchor_pairs` uses as anchors: the first half of the good ones."""
    rows = good(labels)
    return rows[: len(rows) - len(rows) // 2]


def anchor_pairs(labels, groups=None, rng=None):
    """Each good and each defective image with an anchor (Senarathna and Wijesinghe 2025, section V.A).

    The first half of the good images are the anchors. The paper does not say which anchor an image meets; here the
    k-th meets the k-th, and the smaller roles start over until all three are of one number, as the paper has them.
    (The paper labels "similar" 1; label 1 means different here.)

    Returns:
        ``(index, pair_labels)``: ``(2 n, 2)`` and ``(2 n, 1)``: anchor and good, then anchor and defective.
    """
    anchor = anchors(labels)
    others, defective = good(labels)[len(anchor) :], np.flatnonzero(np.asarray(labels) == 1)
    if not len(others) or not len(defective):
        raise ValueError(
            f"Expected two good images and a defective one at least. Received: {len(anchor) + len(others)} good and "
            f"{len(defective)} defective"
        )
    count = max(len(anchor), len(others), len(defective))
    anchor, others, defective = (np.resize(rows, count) for rows in (anchor, others, defective))
    index = np.concatenate([np.stack([anchor, others], 1), np.stack([anchor, defective], 1)])
    return index.astype(np.int32), np.repeat([0.0, 1.0], count)[:, None].astype(np.float32)


def all_anchor_pairs(labels, groups=None, rng=None):
    """As `anchor_pairs`, but each good and each defective image meets every anchor: the other reading of the paper,
    which says only that pairs are made of anchors and the others. 8 + 8 + 8 images make 128 pairs before augmentation.

    Returns:
        ``(index, pair_labels)``: ``(a (g + d), 2)`` and ``(a (g + d), 1)``: all with the first anchor, then with the
        second, and so on.
    """
    labels = np.asarray(labels)
    anchor_pairs(labels)  # raises what this would
    anchor, defective = anchors(labels), np.flatnonzero(labels == 1)
    seconds = np.concatenate([good(labels)[len(anchor) :], defective])
    index = np.stack([np.repeat(anchor, len(seconds)), np.tile(seconds, len(anchor))], 1)
    return index.astype(np.int32), labels[index[:, 1], None].astype(np.float32)


def all_pairs(labels, groups=None, rng=None):
    """All pairs of the training set (Takimoto et al. 2022, Tables 6 and 7): 80 normal and 40 abnormal make 7140.

    Returns:
        ``(index, pair_labels)``: ``(n (n - 1) / 2, 2)``, and ``(n (n - 1) / 2, 1)``: 1 different.
    """
    index, pair_labels = all_pairs_with_normal(labels)
    return index, pair_labels[:, :1]


def all_pairs_with_normal(labels, groups=None, rng=None):
    """The same for `fsad.losses.PairBalancedContrastiveLoss`: labels of two columns, the second 1 if one of the pair is
    normal."""
    labels = np.asarray(labels)
    if set(labels.tolist()) != {0, 1}:
        raise ValueError(f"Expected images labelled 0 and 1, some of both. Received: {sorted(set(labels.tolist()))}")
    index = np.stack(np.triu_indices(len(labels), 1), 1)
    sides = labels[index]
    pair_labels = np.stack([sides[:, 0] != sides[:, 1], sides.min(1) == 0], 1)
    return index.astype(np.int32), pair_labels.astype(np.float32)


def class_pairs(labels, groups, rng):
    """Two pairs per image (Livieris et al. 2023, section 4): one with its own class, one with another.

    Partners are drawn at random, never of the image's own group: an image is not compared with itself, nor with a
    near-duplicate of itself. Where there is no such partner, the pair is left out.

    Returns:
        ``(index, pair_labels)``: ``(P, 2)`` and ``(P, 1)``, P at most 2 n: first the pairs of one class, then those of
        two classes, each in order of the first image.
    """
    labels, groups = np.asarray(labels), np.asarray(groups)
    index, pair_labels = [], []
    for different in (0.0, 1.0):
        for k in range(len(labels)):
            others = np.flatnonzero(((labels != labels[k]) == bool(different)) & (groups != groups[k]))
            if len(others):
                index.append((k, rng.choice(others)))
                pair_labels.append(different)
    return np.array(index, np.int32).reshape(-1, 2), np.array(pair_labels, np.float32)[:, None]


def by_pairs(index, size, rng):
    """``size`` random pairs per step, as in Takimoto et al. (2022)."""
    return rng.permutation(len(index)), _even(len(index), size)


def by_anchors(index, size, rng):
    """``size`` pairs per step, those of one first image together: a batch then holds fewer images than 2 per pair."""
    rank = rng.permutation(index.max() + 1)
    order = rng.permutation(len(index))
    return order[np.argsort(rank[index[order, 0]], kind="stable")], _even(len(index), size)


def by_images(index, size, rng):
    """The pairs among ``size`` images per step, each pair once.

    The images are dealt anew into groups of ``size / 2`` each epoch, and each two groups make a step. Pairs between
    them are seen in it; those within a group in one of its steps only. An image goes through the network once for each
    other group, instead of once for each other image.
    """
    count = index.max() + 1
    deal = np.array_split(rng.permutation(count), _groups(count, size))
    group = np.empty(count, int)
    for number, rows in enumerate(deal):
        group[rows] = number
    first, second = np.triu_indices(len(deal), 1)
    between, within = np.zeros((len(deal), len(deal)), int), {}
    for step, pair in enumerate(rng.permutation(len(first))):
        a, b = first[pair], second[pair]
        between[a, b] = between[b, a] = step
        within.setdefault(a, step)
        within.setdefault(b, step)
    between[np.diag_indices(len(deal))] = [within[number] for number in range(len(deal))]
    step = between[group[index[:, 0]], group[index[:, 1]]]
    sizes = np.bincount(step)
    return np.argsort(step, kind="stable"), sizes[sizes > 0]


BATCHINGS = {"pairs": by_pairs, "anchors": by_anchors, "images": by_images}


def steps(count, batching, size):
    """Steps of an epoch over all pairs of ``count`` images."""
    if batching == "images":
        groups = _groups(count, size)
        return groups * (groups - 1) // 2
    return len(_even(count * (count - 1) // 2, size))


def _even(count, size):
    """Sizes of the steps that ``count`` pairs make: the last takes what is left."""
    return np.diff(np.append(np.arange(0, count, size), count))


def _groups(count, size):
    return max(2, -(-count // max(1, size // 2)))


def dataset(images, index, pair_labels, batching, size, epochs, rng):
    """``((images (U, ...) float32, pairs (P, 2) int32), labels (P, k))`` batches for ``fit``, one epoch after the
    other.

    The order of all epochs is drawn beforehand, a few numbers per pair. The pipeline itself is tf.data operations
    alone: slices of pairs, the unique images of a batch looked up, prefetched.

    Args:
        images: ``(n, ...)``: uint8 RGB, or feature maps of a frozen backbone. Held once.
        index, pair_labels: from a pairing.
        batching: a key of `BATCHINGS`.
        size: pairs, or images, per step.
        epochs: how many the dataset holds, one after the other, all of the same number of steps.
        rng: an ``np.random.Generator``, draws the order.
    """
    if batching not in BATCHINGS:
        raise ValueError(f"Expected a batching among {', '.join(BATCHINGS)}. Received: {batching!r}")
    # Checked here, since tf.gather on a CPU would only fail batches later.
    if index.min() < 0 or index.max() >= len(images):
        raise ValueError(f"Expected pairs of {len(images)} images. Received: rows up to {index.max()}")
    drawn = [BATCHINGS[batching](index, size, rng) for _ in range(epochs)]
    order, sizes = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    images, index, pair_labels = tf.constant(images), tf.constant(index), tf.constant(pair_labels)

    def look_up(chosen):
        sides = tf.gather(index, chosen)
        rows = tf.sort(tf.unique(tf.reshape(sides, [-1]))[0])
        local = tf.reshape(tf.searchsorted(rows, tf.reshape(sides, [-1])), [-1, 2])
        return (tf.cast(tf.gather(images, rows), tf.float32), local), tf.gather(pair_labels, chosen)

    chosen = tf.RaggedTensor.from_row_lengths(order.astype(np.int32), sizes)
    return tf.data.Dataset.from_tensor_slices(chosen).map(look_up).prefetch(2)
