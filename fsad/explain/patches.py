"""Patch distances as an explanation: how far each patch is from its nearest reference patch, and which one that is.

Where the network compares patches they are part of the comparison itself (`fsad.nearest_patch`), not computed after it.
"""

import numpy as np
import tensorflow as tf

from fsad import siamese
from fsad.answers import Answer
from fsad.explain.comparer import batches


def maps(comparer, images, references, target="different"):
    """The anomaly map of the comparison, float32 ``(n, h, w)``, in deviations of the good images' from their mean.

    Raises:
        ValueError: the network compares no patches, or the target is not ``"different"``.
    """
    _layer(comparer)
    if target != "different":
        raise ValueError(f"Expected the target 'different': patch distances are of the score. Received: {target!r}")
    by_batch = [comparer.compare(batch, references).anomaly_map for batch in batches(images)]
    return np.concatenate([one.numpy() for one in by_batch])


def answers(comparer, image, references, count=3):
    """The reference patches that answer for the patches of an image that are farthest from any.

    Neighbours of a patch that is listed are not: each answer is for a place of its own, a quarter of the image apart.

    Args:
        image: RGB ``(H, W, 3)`` in [0, 255].
        references: `fsad.explain.comparer.References`.
        count: how many at most.

    Returns:
        A list of `fsad.answers.Answer`, the farthest patch first; its view is one of the comparer's.

    Raises:
        ValueError: the network compares no patches.
    """
    layer = _layer(comparer)
    patches = siamese.embed(comparer.model, np.asarray(image)[None])[0]
    (rows, columns), layers = patches.shape[:2], len(layer.channels)
    grid = references.embeddings.shape[:3]
    flat = tf.reshape(references.embeddings, (-1, patches.shape[2]))
    # Unit vectors of each layer side by side: the product is the sum of their cosines.
    likeness = tf.matmul(patches.reshape(-1, patches.shape[2]), flat, transpose_b=True).numpy() / layers
    best, nearest = likeness.max(1), likeness.argmax(1)
    views = len(references.embeddings) // len(references.images)
    listed = []
    for row in best.argsort():
        place = _centre(divmod(int(row), columns), (rows, columns), layer.window, 1)
        if any(max(abs(p - q) for p, q in zip(place, one.place, strict=True)) < 0.25 for one in listed):
            continue
        number, i, j = np.unravel_index(nearest[row], grid)
        at = _centre((i, j), (rows, columns), layer.window, layer.window)
        listed.append(Answer(place, int(number) // views, int(number) % views, at, max(0.0, 1 - float(best[row]))))
        if len(listed) == count:
            break
    return listed


def _layer(comparer):
    layer, _ = siamese.distance_layer(comparer.model)
    if not layer.gives_map:
        raise ValueError("Expected a network that compares patches. Received: one that compares vectors")
    return layer


def _centre(cell, shape, window, step):
    """``(x, y)`` in [0, 1] of a patch: window ``cell`` of a grid ``shape`` of overlapping ones, every ``step``-th."""
    y, x = ((step * k + window / 2) / (size + window - 1) for k, size in zip(cell, shape, strict=True))
    return float(x), float(y)
