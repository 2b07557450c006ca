"""A backbone that needs no weights: oriented filters, rectified and pooled (after Leung and Malik 2001).

Texture described by how much of each orientation and scale a neighbourhood holds: three scales of edge and
bar filters in six orientations and of one round filter, their magnitudes averaged and maximised over
neighbourhoods of 16 pixels. What a user without pre-trained weights starts from.
"""

import keras
import numpy as np
from keras import layers, ops

SCALES = (1, 2, 4)  # pixels
ORIENTATIONS = 6
STRIDE = 16
FLOOR = 0.01  # of the magnitudes: a few gray levels
_REACH = 12


def kernels():
    """Kernels ``(25, 25, 1, 39)``; each sums to 0 and its magnitudes to 1."""
    y, x = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1].astype(np.float64)
    found = []
    for s in SCALES:
        for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
            across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            bell = np.exp(-(across**2) / (2 * s**2) - along**2 / (8 * s**2))  # twice as long as wide
            found += [-across * bell, (across**2 / s**2 - 1) * bell]  # edge, bar
        radius = x**2 + y**2
        found.append((radius / s**2 - 2) * np.exp(-radius / (2 * s**2)))
    found = [k - k.mean() for k in found]
    return np.stack([k / np.abs(k).sum() for k in found], -1)[:, :, None].astype(np.float32)


def build(picture, prepared):
    """From RGB ``prepared``, in [0, 1], to magnitudes and a constant: ``(batch, h, w, 79)``, >= 0."""
    gray = ops.mean(prepared, axis=-1, keepdims=True)
    weights = kernels()
    filters = layers.Conv2D(weights.shape[-1], weights.shape[0], use_bias=False, trainable=False, name="filters")
    # Mirrored, since an edge to black at the border would be the strongest of all.
    padded = ops.pad(gray, [[0, 0], [_REACH, _REACH], [_REACH, _REACH], [0, 0]], mode="reflect")
    magnitude = ops.abs(filters(padded))
    filters.set_weights([weights])
    pooled = [
        layers.AveragePooling2D(STRIDE, padding="same", name="average_magnitude")(magnitude),
        layers.MaxPooling2D(STRIDE, padding="same", name="largest_magnitude")(magnitude),
    ]
    # Where nothing is to be seen, what is left of rounding would otherwise be scaled up to a direction of its own.
    pooled.append(FLOOR * ops.ones_like(pooled[0][..., :1]))
    return keras.Model(picture, layers.Concatenate(name="magnitudes")(pooled), name="backbone")
