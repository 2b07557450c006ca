"""Distances between two embeddings, as Keras layers on one interface.

Each takes a list of two embeddings, reference first; larger means more different. `DistanceLayer`,
`EuclideanDistance` and `CosineDistance` take vectors ``(batch, dim)`` and are symmetric; a sigmoid unit
after them turns the distance into a dissimilarity in [0, 1]. `NearestPatch` takes maps of patches.
"""

import keras
from keras import ops

PATCHES = 16384  # reference patches that a picture is compared with at a time


def _two(inputs):
    if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
        raise ValueError(f"Expected a list of two embeddings. Received: {inputs!r}")
    first, second = inputs
    # Unequal shapes would broadcast in silence.
    if tuple(first.shape[1:]) != tuple(second.shape[1:]):
        raise ValueError(f"Expected two embeddings of one shape. Received: {first.shape} and {second.shape}")
    return first, second


@keras.saving.register_keras_serializable("fsad")
class DistanceLayer(keras.layers.Layer):
    """Element-wise absolute difference, ``|a - b|`` (Senarathna and Wijesinghe 2025, section V.B.2).

    Output: ``(batch, dim)``, values >= 0.
    """

    def call(self, inputs):
        first, second = _two(inputs)
        return ops.abs(first - second)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable("fsad")
class EuclideanDistance(keras.layers.Layer):
    """``sqrt(sum((a - b)^2) + epsilon)``, shape ``(batch, 1)``; named by the same paper as an alternative.

    ``epsilon`` keeps the gradient finite where the two embeddings coincide.
    """

    def __init__(self, epsilon=1e-12, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        first, second = _two(inputs)
        return ops.sqrt(ops.sum(ops.square(first - second), axis=-1, keepdims=True) + self.epsilon)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 1)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("fsad")
class CosineDistance(keras.layers.Layer):
    """``1 - a.b / (|a| |b|)``, shape ``(batch, 1)``, values in [0, 2]; the paper's other alternative."""

    def call(self, inputs):
        first, second = _two(inputs)
        first, second = ops.normalize(first, axis=-1), ops.normalize(second, axis=-1)
        return 1.0 - ops.sum(first * second, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 1)


@keras.saving.register_keras_serializable("fsad")
class NearestPatch(keras.layers.Layer):
    """How far the patches of a picture are from the nearest patch of a reference, wherever that lies.

    The nearest-patch distance of patch-memory methods (Roth et al. 2022, PatchCore) between unit
    vectors, with cosine distance ``1 - a.b``: in [0, 1] for features that are not negative. One number
    a picture is the mean over the ``share`` of its patches that are farthest: a defect covers few
    patches, and the single farthest one is noise.

    Input: reference and picture, each ``(batch, h, w, channels)`` of unit vectors. Output: ``(batch, 1)``.
    Not symmetric: what the reference has and the picture lacks does not count.

    Args:
        share: of the patches, that makes the score.
        window: cells a side that a patch is the average of, 1 or 2, in steps of one cell. The map of `against` is of
            the cells: a cell is as far as the patches it is part of are on the average.
    """

    def __init__(self, share=0.05, window=1, **kwargs):
        super().__init__(**kwargs)
        if not 0 < share <= 1:
            raise ValueError(f"Expected a share of patches in (0, 1]. Received: {share}")
        if window not in (1, 2):
            raise ValueError(f"Expected a window of 1 or 2 cells. Received: {window}")
        self.share, self.window = share, window

    def call(self, inputs):
        reference, picture = (ops.reshape(e, (-1, e.shape[1] * e.shape[2], e.shape[3])) for e in _two(inputs))
        likeness = ops.matmul(picture, ops.transpose(reference, (0, 2, 1)))  # (B, P, P)
        return self._farthest(ops.maximum(1.0 - ops.max(likeness, axis=2), 0.0))[:, None]

    def against(self, references, pictures):
        """Pictures ``(B, h, w, C)`` against all references ``(R, h', w', C)`` at once.

        Returns:
            ``(score (B,), dissimilarity (B, R), map (B, h, w))``: the score with the patches of all
            references in one pool, the number of each reference by itself, and each patch's distance
            to the nearest of the pool; with a window of 2, ``(B, h + 1, w + 1)`` cells.
        """
        count, height, width = references.shape[:3]
        patches = pictures.shape[1] * pictures.shape[2]
        flat = ops.reshape(pictures, (-1, pictures.shape[3]))
        # References in groups, so that the memory does not grow with their number.
        step = max(1, PATCHES // (height * width))
        apart = ops.concatenate([self._apart(flat, references[k : k + step]) for k in range(0, count, step)], axis=1)
        apart = ops.reshape(apart, (-1, patches, count))
        nearest = ops.min(apart, axis=2)
        each = self._farthest(ops.reshape(ops.transpose(apart, (0, 2, 1)), (-1, patches)))
        score, each = self._farthest(nearest), ops.reshape(each, (-1, count))
        return score, each, self._cells(ops.reshape(nearest, (-1, *pictures.shape[1:3])))

    def _apart(self, flat, references):
        """Patches ``(N, C)`` to the nearest patch of each reference ``(r, h', w', C)``: ``(N, r)``."""
        count, height, width, channels = references.shape
        likeness = ops.matmul(flat, ops.transpose(ops.reshape(references, (count * height * width, channels))))
        likeness = ops.max(ops.reshape(likeness, (-1, count, height * width)), axis=2)
        return ops.maximum(1.0 - likeness, 0.0)  # rounding must not make it negative

    def _cells(self, apart):
        if self.window == 2:
            for axis in (1, 2):
                size = apart.shape[axis]
                first, last = (ops.take(apart, [k], axis=axis) for k in (0, size - 1))
                left, right = ops.concatenate([first, apart], axis=axis), ops.concatenate([apart, last], axis=axis)
                apart = (left + right) / 2
        return apart

    def _farthest(self, apart):
        count = max(1, round(self.share * apart.shape[1]))
        return ops.mean(ops.top_k(apart, count)[0], axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 1)

    def get_config(self):
        return {**super().get_config(), "share": self.share, "window": self.window}
