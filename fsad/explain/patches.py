"""Patch distances as an explanation: how far each patch is from its nearest reference patch, and which one that is.

Where the network compares patches they are part of the comparison itself (`fsad.nearest_patch`), not computed after it.
"""

import numpy as np
import tensorflow as tf

from fsad import siamese
from fsad.answers import of, spread
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

    Args:
        image: RGB ``(H, W, 3)`` in [0, 255].
        references: `fsad.explain.comparer.References`.
        count: how many at most, a quarter of the image apart.

    Returns:
        A list of `fsad.answers.Answer`, the farthest patch first; its view is one of the comparer's.

    Raises:
        ValueError: the network compares no patches.
    """
    layer = _layer(comparer)
    patches = siamese.embed(comparer.model, np.asarray(image)[None])[0]
    layers, own = len(layer.channels), layer.centres(patches.shape[:2])
    number, *grid = references.embeddings.shape[:3]
    places = np.tile(layer.centres(grid), (number, 1, 1)) if references.places is None else references.places
    flat = tf.reshape(references.embeddings, (-1, patches.shape[2]))
    # Unit vectors of each layer side by side: the product is the sum of their cosines.
    likeness = tf.matmul(patches.reshape(-1, patches.shape[2]), flat, transpose_b=True).numpy() / layers
    distances, nearest = np.maximum(1 - likeness.max(1), 0), likeness.argmax(1)
    views = number // len(references.images)
    return [of([*own[row], nearest[row], distances[row]], places, views) for row in spread(distances, own, count)]


def _layer(comparer):
    layer, _ = siamese.distance_layer(comparer.model)
    if not layer.gives_map:
        raise ValueError("Expected a network that compares patches. Received: one that compares vectors")
    return layer
