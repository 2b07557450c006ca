"""Distances between two embeddings, as Keras layers on one interface.

Each takes a list of two tensors of shape ``(batch, dim)`` and is symmetric in them; larger means more
different. A sigmoid unit after it turns the distance into a dissimilarity in [0, 1].
"""

import keras
from keras import ops


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
