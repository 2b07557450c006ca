"""Which places of two images make their embeddings alike: attributions to pairs of cells (Möller et al. 2023).

A score of two images belongs to neither alone. The paper attributes the product of two embeddings to pairs of what they
are made of, here the cells of the backbone's feature maps. For networks that compare vectors; where patches are
compared the pairs are part of the comparison (`fsad.explain.patches`).
"""

import numpy as np
import tensorflow as tf
from scipy.spatial.distance import cdist

from fsad import siamese
from fsad.answers import Answer, spread
from fsad.explain.comparer import batches

CELLS = 64  # whose contributions are computed at a time


def contributions(comparer, images, steps=8):
    """What each cell adds to the embedding: its features times the integrated Jacobian from an empty feature map.

    ``u_i = A_i . integral_0^1 d e(a A) / d A_i da``, by the midpoint rule. *Completeness*: those of an image sum up to
    ``e(A) - e(0)``, exactly where the neck is linear, as one that only averages.

    Args:
        comparer: a `fsad.explain.comparer.Comparer` of a network that compares vectors.
        images: RGB ``(n, H, W, 3)`` in [0, 255].
        steps: derivatives on the way from the empty map.

    Returns:
        float32 ``(n, h, w, dim)``, in units of the embedding.

    Raises:
        ValueError: the network compares patches.
    """
    neck = siamese.parts(comparer.model).neck
    if len(neck.output_shape) != 2:
        raise ValueError("Expected a network that compares vectors. Received: one that compares patches")
    backbone, _ = siamese.compiled(comparer.model)
    feature_maps = tf.concat([backbone(batch) for batch in batches(images)], 0)
    summed = np.zeros((len(feature_maps), *feature_maps.shape[1:3], neck.output_shape[1]), np.float32)
    for features, result in zip(feature_maps, summed, strict=True):
        cells = result.reshape(-1, result.shape[-1])  # a view
        for start in range(0, len(cells), CELLS):
            chosen = tf.range(start, min(start + CELLS, len(cells)))
            mask = tf.reshape(tf.one_hot(chosen, len(cells), dtype=features.dtype), (-1, *result.shape[:2], 1))
            for k in range(steps):
                point = tf.repeat(features[None] * ((k + 0.5) / steps), len(chosen), 0)
                with tf.autodiff.ForwardAccumulator(point, mask * features) as forward:
                    embeddings = tf.cast(neck(point, training=False), tf.float32)
                cells[start : start + CELLS] += forward.jvp(embeddings).numpy() / steps
    return summed


def attributions(comparer, first, second, steps=8):
    """How much each pair of cells adds to the product of two embeddings, ``u_i . v_j`` of `contributions`.

    Args:
        comparer, steps: as in `contributions`.
        first, second: RGB ``(H, W, 3)`` in [0, 255].

    Returns:
        float32 ``(h, w, h, w)``: cells of the first image, cells of the second; they sum up to ``(e(A) - e(0)) .
        (e(B) - e(0))``.
    """
    ours, others = contributions(comparer, np.stack([first, second]), steps)
    return np.tensordot(ours, others, (-1, -1))


def answers(comparer, image, references, count=3, steps=8):
    """The cells of an image that no cell of the reference image nearest to it stands in for, and which comes closest.

    Args:
        image: RGB ``(H, W, 3)`` in [0, 255].
        references: `fsad.explain.comparer.References`.
        count: how many at most, a quarter of the image apart.

    Returns:
        A list of `fsad.answers.Answer`; the distance is the Euclidean one of the `contributions` of the two cells, the
        largest first.
    """
    number = comparer.closest(np.asarray(image)[None], references)[0]
    ours, others = contributions(comparer, np.stack([image, references.images[number]]), steps)
    rows, columns, _ = ours.shape
    y, x = np.divide(np.indices((rows, columns)) + 0.5, np.array([rows, columns])[:, None, None])
    places = np.stack([x, y], -1).reshape(-1, 2)
    distances = cdist(*(one.reshape(len(places), -1) for one in (ours, others)))
    least, nearest = distances.min(1), distances.argmin(1)
    return [
        Answer(tuple(map(float, places[k])), int(number), 0, tuple(map(float, places[nearest[k]])), float(least[k]))
        for k in spread(least, places, count)
    ]
