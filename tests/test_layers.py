import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad.layers import CosineDistance, DistanceLayer, EuclideanDistance, SignedPower

A = np.array([[3.0, 4.0], [1.0, 0.0]], np.float32)
B = np.array([[0.0, 0.0], [0.0, 2.0]], np.float32)


def test_values_worked_by_hand():
    assert np.asarray(DistanceLayer()([A, B])).tolist() == [[3, 4], [1, 2]]
    assert np.asarray(EuclideanDistance()([A, B]))[:, 0] == pytest.approx([5, 5**0.5])
    assert np.asarray(CosineDistance()([A[1:], B[1:]]))[0, 0] == pytest.approx(1)  # at right angles
    assert np.asarray(CosineDistance()([A, 2 * A]))[:, 0] == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("layer", [DistanceLayer, EuclideanDistance, CosineDistance])
def test_symmetric_and_shapes_known_before_the_call(layer):
    assert np.allclose(layer()([A, B]), layer()([B, A]))
    vectors = [keras.Input((7,)), keras.Input((7,))]
    assert layer()(vectors).shape == ((None, 7) if layer is DistanceLayer else (None, 1))


def test_gradient_is_finite_where_the_embeddings_coincide():
    x = tf.Variable(A)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(EuclideanDistance()([x, tf.constant(A)]))
    assert np.isfinite(tape.gradient(total, x).numpy()).all()


def test_unequal_shapes_are_refused_not_broadcast():
    for other in (np.zeros((2, 1)), np.zeros((2, 1, 3))):
        with pytest.raises(ValueError, match="one shape"):
            DistanceLayer()([np.zeros((2, 3)), other])
    with pytest.raises(ValueError, match="two embeddings"):
        DistanceLayer()(np.zeros((2, 3)))


@pytest.mark.parametrize(("reduction", "scores"), [("mean", [3.5, 4.5]), ("min", [3.0, 4.0]), ("first", [4.0, 5.0])])
def test_vectors_are_compared_all_with_all(reduction, scores):
    """Images at 0 and -1 on a line, references at 4 and 3, and no unit after the distance."""
    images, references = np.array([[0.0], [-1.0]], np.float32), np.array([[4.0], [3.0]], np.float32)
    comparison = EuclideanDistance().compare(images, references, reduction=reduction)
    assert np.allclose(comparison.per_reference, [[4, 3], [5, 4]]) and np.allclose(comparison.score, scores)
    assert comparison.anomaly_map is None


def test_units_turn_each_distance_into_a_dissimilarity():
    sum_up = keras.layers.Dense(1, kernel_initializer="ones")
    clip = keras.layers.ReLU(max_value=5.0)
    comparison = DistanceLayer().compare(A, B, units=(sum_up, clip))
    # |a - b| is (3, 4), (3, 2), (1, 0) and (1, 2).
    assert np.allclose(comparison.per_reference, [[5, 5], [1, 3]]) and np.allclose(comparison.score, [5, 2])


def test_a_signed_power_keeps_the_sign_and_has_a_finite_gradient_at_zero():
    x = tf.Variable([-4.0, 0.0, 9.0])
    with tf.GradientTape() as tape:
        out = SignedPower(0.5)(x)
    assert np.allclose(out, [-2, 0, 3]) and np.isfinite(tape.gradient(out, x)).all()
