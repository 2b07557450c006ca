"""A backbone without weights: oriented filters, rectified and pooled (after Leung and Malik 2001).

It describes texture by the response to each orientation and scale: edge and bar filters in six orientations and
one round filter, at three scales; the magnitudes are averaged, and maximized, over neighbourhoods of 16 pixels.
For users without pre-trained weights.
"""

import keras
import numpy as np
from keras import layers, ops

SCALES = (1, 2, 4)  # pixels
ORIENTATIONS = 6
STRIDE = 16
FLOOR = 0.01  # magnitude of a few gray levels
_REACH = 12  # pixels from the centre of a kernel to its border


def kernels():
    """Kernels ``(25, 25, 1, 39)``: the values of each sum to 0, their magnitudes to 1."""
    y, x = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1].astype(np.float64)
    filters = []
    for s in SCALES:
        for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
            across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            bell = np.exp(-(across**2) / (2 * s**2) - along**2 / (8 * s**2))  # twice as long as wide
            filters += [-across * bell, (across**2 / s**2 - 1) * bell]  # edge, bar
        radius_squared = x**2 + y**2
        filters.append((radius_squared / s**2 - 2) * np.exp(-radius_squared / (2 * s**2)))
    filters = [f - f.mean() for f in filters]
    return np.stack([f / np.abs(f).sum() for f in filters], -1)[:, :, None].astype(np.float32)


def build(image, prepared):
    """The backbone: images -> magnitudes and a constant ``(batch, h, w, 79)``, >= 0.

    Args:
        image: the ``keras.Input`` of the model.
        prepared: the same images as RGB in [0, 1].
    """
    gray = ops.mean(prepared, axis=-1, keepdims=True)
    weights = kernels()
    filters = layers.Conv2D(weights.shape[-1], weights.shape[0], use_bias=False, trainable=False, name="filters")
    # Reflected: with zero padding the border would be the strongest edge of all.
    padded = ops.pad(gray, [[0, 0], [_REACH, _REACH], [_REACH, _REACH], [0, 0]], mode="reflect")
    magnitude = ops.abs(filters(padded))
    filters.set_weights([weights])
    pooled = [
        layers.AveragePooling2D(STRIDE, padding="same", name="average_magnitude")(magnitude),
        layers.MaxPooling2D(STRIDE, padding="same", name="largest_magnitude")(magnitude),
    ]
    # Without the constant, normalization would scale the rounding errors of a blank patch up to unit length.
    pooled.append(FLOOR * ops.ones_like(pooled[0][..., :1]))
    return keras.Model(image, layers.Concatenate(name="magnitudes")(pooled), name="backbone")
