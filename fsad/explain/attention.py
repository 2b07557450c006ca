"""The attention map of a network that has one (Takimoto et al. 2022): not asked afterwards, but used by it."""

import keras
import numpy as np

from fsad import siamese
from fsad.attention import MAP


def has_attention(model):
    """Whether an attention mechanism (`fsad.attention.insert`) is in the backbone of a two-picture model."""
    return MAP in [layer.name for layer in siamese.parts(model).backbone.layers]


def attention(model, pictures, batch_size=16):
    """Attention maps.

    Args:
        model: a two-picture model with attention.
        pictures: RGB ``(n, side, side, 3)`` in [0, 255].
        batch_size: pictures at once.

    Returns:
        float32 ``(n, h, w)``, in (0, 1): what the features of that place are multiplied by.

    Raises:
        ValueError: no attention in the model, or no picture.
    """
    if not has_attention(model):
        raise ValueError("Expected a model with an attention mechanism. Received: one without")
    if not len(pictures):
        raise ValueError("Expected at least one picture. Received: none")
    backbone = siamese.parts(model).backbone
    maps = keras.Model(backbone.input, backbone.get_layer(MAP).output)
    found = [maps(np.asarray(pictures[k : k + batch_size], np.float32)) for k in range(0, len(pictures), batch_size)]
    return np.concatenate([np.asarray(f)[..., 0] for f in found])
