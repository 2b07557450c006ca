"""Distances between embeddings, as Keras layers on one interface.

Each takes a list of two embeddings, reference first; larger means more different. `DistanceLayer`,
`EuclideanDistance` and `CosineDistance` take vectors ``(batch, dim)`` and are symmetric; a sigmoid unit
after them turns the distance into a dissimilarity in [0, 1]. `fsad.nearest_patch` takes maps of patches.

`Distance.compare` compares each of several embeddings with each of several references at once.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

# Dissimilarities (B, R) to the references -> score (B,).
REDUCTIONS = {
    "mean": lambda values: ops.mean(values, axis=1),
    "min": lambda values: ops.min(values, axis=1),  # the nearest reference
    "first": lambda values: values[:, 0],
}


class Comparison(NamedTuple):
    """B images compared with R references: ``score`` ``(B,)``; ``per_reference`` ``(B, R)``, the dissimilarity to each;
    ``anomaly_map`` ``(B, h, w)``, in the units of the score, or None where vectors are compared, and so ``answer``
    ``(B, 4)``: x and y of the patch where the map is highest, the row of the reference patch nearest to it, in the pool
    of all of them, and their distance (`fsad.answers.of`)."""

    score: Any
    per_reference: Any
    anomaly_map: Any = None
    answer: Any = None


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


def two_embeddings(inputs):
    """The two embeddings that a `Distance` is called with; raises ValueError unless they are two of one shape."""
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
        first, second = two_embeddings(inputs)
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
        first, second = two_embeddings(inputs)
        return ops.sqrt(ops.sum(ops.square(first - second), axis=-1, keepdims=True) + self.epsilon)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("fsad")
class CosineDistance(Distance):
    """``1 - a.b / (|a| |b|)``, shape ``(batch, 1)``, values in [0, 2]; the paper's other alternative."""

    def call(self, inputs):
        first, second = two_embeddings(inputs)
        first, second = ops.normalize(first, axis=-1), ops.normalize(second, axis=-1)
        return 1.0 - ops.sum(first * second, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable("fsad")
class SignedPower(keras.layers.Layer):
    """``sign(x) |x|^power``, of any shape: features whose largest no longer decide alone (Perronnin et al. 2010)."""

    def __init__(self, power=0.5, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def call(self, x):
        size = ops.maximum(ops.abs(x), 1e-12)  # a finite gradient at 0
        return ops.sign(x) * (ops.sqrt(size) if self.power == 0.5 else ops.power(size, self.power))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "power": self.power}
