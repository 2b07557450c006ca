"""The attention map of a network that has one (Takimoto et al. 2022): part of the prediction, not computed after it."""

import keras
import numpy as np

from fsad import siamese
from fsad.attention import MAP


def has_attention(model):
    """Whether the backbone of a two-input model has an attention mechanism (`fsad.attention.insert`)."""
    return MAP in [layer.name for layer in siamese.parts(model).backbone.layers]


def maps(comparer, images, references=None, target="different"):
    """`attention_maps` of a `fsad.explain.comparer.Comparer`: the same for all references and targets."""
    return attention_maps(comparer.model, images)


def attention_maps(model, images, batch_size=16):
    """Attention maps of images.

    Args:
        model: a two-input model with attention.
        images: RGB ``(n, side, side, 3)`` in [0, 255].
        batch_size: images per batch.

    Returns:
        float32 ``(n, h, w)`` in (0, 1): the factor that multiplies the features at each position.

    Raises:
        ValueError: the model has no attention, or there is no image.
    """
    if not has_attention(model):
        raise ValueError("Expected a model with an attention mechanism. Received: one without")
    if not len(images):
        raise ValueError("Expected at least one image. Received: none")
    backbone = siamese.parts(model).backbone
    probe = keras.Model(backbone.input, backbone.get_layer(MAP).output)
    batches = [probe(np.asarray(images[k : k + batch_size], np.float32)) for k in range(0, len(images), batch_size)]
    return np.concatenate([np.asarray(batch)[..., 0] for batch in batches])
