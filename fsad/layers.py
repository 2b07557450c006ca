"""Distances between embeddings, as Keras layers on one interface.

Each takes a list of two embeddings, reference first; larger means more different. `DistanceLayer`,
`EuclideanDistance` and `CosineDistance` take vectors ``(batch, dim)`` and are symmetric; a sigmoid unit
after them turns the distance into a dissimilarity in [0, 1]. `NearestPatch` takes maps of patches.

`Distance.compare` compares each of several embeddings with each of several references at once.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

MAX_PATCHES = 16384  # reference patches that an image is compared with at a time

# Dissimilarities (B, R) to the references -> score (B,).
REDUCTIONS = {
    "mean": lambda values: ops.mean(values, axis=1),
    "min": lambda values: ops.min(values, axis=1),  # the nearest reference
    "first": lambda values: values[:, 0],
}


class Comparison(NamedTuple):
    """B images compared with R references: ``score`` ``(B,)``; ``per_reference`` ``(B, R)``, the dissimilarity to each;
    ``anomaly_map`` ``(B, h, w)``, the distance of each place, or None where vectors are compared."""

    score: Any
    per_reference: Any
    anomaly_map: Any = None


class Distance(keras.layers.Layer):
    """What a distance of vectors has in common. ``gives_map``: whether its comparison has an anomaly map."""

    gives_map = False

    def compare(self, embeddings, references, units=(), reduction="mean"):
        """Compares embeddings ``(B, dim)`` with references ``(R, dim)``, all with all.

        Args:
            units: the layers that turn a distance into a dissimilarity, in order; possibly none.
            reduction: a key of `REDUCTIONS`.

        Returns:
            A `Comparison`.
        """
        x = self([references[None], embeddings[:, None]])
        for unit in units:
            x = unit(x)
        per_reference = x[..., 0]
        return Comparison(REDUCTIONS[reduction](per_reference), per_reference)


def _two(inputs):
    if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
        raise ValueError(f"Expected a list of two embeddings. Received: {inputs!r}")
    first, second = inputs
    # Unequal lengths would broadcast in silence.
    if len(first.shape) != len(second.shape) or first.shape[-1] != second.shape[-1]:
        raise ValueError(f"Expected two embeddings of one shape. Received: {first.shape} and {second.shape}")
    return first, second


@keras.saving.register_keras_serializable("fsad")
class DistanceLayer(Distance):
    """Element-wise absolute difference, ``|a - b|`` (Senarathna and Wijesinghe 2025, section V.B.2).

    Output: ``(batch, dim)``, values >= 0.
    """

    def call(self, inputs):
        first, second = _two(inputs)
        return ops.abs(first - second)


@keras.saving.register_keras_serializable("fsad")
class EuclideanDistance(Distance):
    """``sqrt(sum((a - b)^2) + epsilon)``, shape ``(batch, 1)``; named by the same paper as an alternative.

    ``epsilon`` keeps the gradient finite where the two embeddings coincide.
    """

    def __init__(self, epsilon=1e-12, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        first, second = _two(inputs)
        return ops.sqrt(ops.sum(ops.square(first - second), axis=-1, keepdims=True) + self.epsilon)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("fsad")
class CosineDistance(Distance):
    """``1 - a.b / (|a| |b|)``, shape ``(batch, 1)``, values in [0, 2]; the paper's other alternative."""

    def call(self, inputs):
        first, second = _two(inputs)
        first, second = ops.normalize(first, axis=-1), ops.normalize(second, axis=-1)
        return 1.0 - ops.sum(first * second, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable("fsad")
class NearestPatch(Distance):
    """How far the patches of an image are from the nearest patch of a reference, wherever that lies.

    The nearest-patch distance of patch-memory methods (Roth et al. 2022, PatchCore) between unit
    vectors, with cosine distance ``1 - a.b``: in [0, 1] for features that are not negative. The score of an image is
    the mean over the ``fraction`` of its patches that are farthest: a defect covers few
    patches, and the single farthest one is noise.

    Input: reference and image, each ``(batch, h, w, channels)`` of unit vectors. Output: ``(batch, 1)``.
    Not symmetric: what the reference has and the image lacks does not count.

    Args:
        fraction: of the patches, that makes the score.
        window: cells per side that a patch is the average of, 1 or 2, in steps of one cell. The map of `compare` is of
            the cells: a cell is as far as the patches it is part of are on the average.
    """

    gives_map = True

    def __init__(self, fraction=0.05, window=1, **kwargs):
        super().__init__(**kwargs)
        if not 0 < fraction <= 1:
            raise ValueError(f"Expected a fraction of patches in (0, 1]. Received: {fraction}")
        if window not in (1, 2):
            raise ValueError(f"Expected a window of 1 or 2 cells. Received: {window}")
        self.fraction, self.window = fraction, window

    @classmethod
    def from_config(cls, config):
        if "share" in config:  # written before fraction was called so
            config = {**config, "fraction": config["share"]}
            del config["share"]
        return cls(**config)

    def call(self, inputs):
        reference, image = (ops.reshape(e, (-1, e.shape[1] * e.shape[2], e.shape[3])) for e in _two(inputs))
        likeness = ops.matmul(image, ops.transpose(reference, (0, 2, 1)))  # (B, P, P)
        return self._farthest(ops.maximum(1.0 - ops.max(likeness, axis=2), 0.0))[:, None]

    def compare(self, embeddings, references, units=(), reduction="mean"):
        """Compares maps of patches ``(B, h, w, C)`` with references ``(R, h', w', C)``, all with all.

        The patches of all references are one pool in which each patch of an image finds its nearest, so there is no
        ``reduction``, and there are no ``units``.

        Returns:
            A `Comparison`; its map is each patch's distance to the nearest of the pool, ``(B, h, w)``, with a window of
            2 ``(B, h + 1, w + 1)`` cells.
        """
        count, height, width = references.shape[:3]
        patches = embeddings.shape[1] * embeddings.shape[2]
        flat = ops.reshape(embeddings, (-1, embeddings.shape[3]))
        # References in groups, so that the memory does not grow with their number.
        step = max(1, MAX_PATCHES // (height * width))
        groups = [self._distances(flat, references[k : k + step]) for k in range(0, count, step)]
        distances = ops.reshape(ops.concatenate(groups, axis=1), (-1, patches, count))  # (B, P, R)
        nearest = ops.min(distances, axis=2)  # (B, P)
        per_reference = self._farthest(ops.reshape(ops.transpose(distances, (0, 2, 1)), (-1, patches)))
        anomaly_map = self._cells(ops.reshape(nearest, (-1, *embeddings.shape[1:3])))
        return Comparison(self._farthest(nearest), ops.reshape(per_reference, (-1, count)), anomaly_map)

    def _distances(self, flat, references):
        """Patches ``(N, C)`` to the nearest patch of each reference ``(r, h', w', C)``: ``(N, r)``."""
        count, height, width, channels = references.shape
        likeness = ops.matmul(flat, ops.transpose(ops.reshape(references, (count * height * width, channels))))
        likeness = ops.max(ops.reshape(likeness, (-1, count, height * width)), axis=2)
        return ops.maximum(1.0 - likeness, 0.0)  # rounding must not make it negative

    def _cells(self, distances):
        if self.window == 2:
            for axis in (1, 2):
                size = distances.shape[axis]
                first, last = (ops.take(distances, [k], axis=axis) for k in (0, size - 1))
                left, right = (ops.concatenate(p, axis=axis) for p in ([first, distances], [distances, last]))
                distances = (left + right) / 2
        return distances

    def _farthest(self, distances):
        count = max(1, round(self.fraction * distances.shape[1]))
        return ops.mean(ops.top_k(distances, count)[0], axis=1)

    def get_config(self):
        return {**super().get_config(), "fraction": self.fraction, "window": self.window}
