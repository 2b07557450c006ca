import keras
import numpy as np
import pytest

from fsad.layers import CosineDistance, DistanceLayer, EuclideanDistance, NearestPatch

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
    inputs = [keras.Input((7,)), keras.Input((7,))]
    assert layer()(inputs).shape == ((None, 7) if layer is DistanceLayer else (None, 1))


def test_gradient_is_finite_where_the_embeddings_coincide():
    import tensorflow as tf

    x = tf.Variable(A)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(EuclideanDistance()([x, tf.constant(A)]))
    assert np.isfinite(tape.gradient(value, x).numpy()).all()


def test_unequal_shapes_are_refused_not_broadcast():
    with pytest.raises(ValueError, match="one shape"):
        DistanceLayer()([np.zeros((2, 3)), np.zeros((2, 1))])
    with pytest.raises(ValueError, match="two embeddings"):
        DistanceLayer()(np.zeros((2, 3)))


def test_nearest_patch_by_hand():
    """Patches on a unit circle: one of four turned by 60 degrees is 1 - cos 60 = 0.5 away, the others 0."""
    one, turned = [1.0, 0.0], [0.5, 0.75**0.5]
    reference = np.array([[[one, one], [one, one]]], np.float32)
    picture = np.array([[[one, turned], [one, one]]], np.float32)
    layer = NearestPatch(share=0.25)
    assert np.asarray(layer([reference, picture])) == pytest.approx(0.5)
    assert np.asarray(NearestPatch(share=0.5)([reference, picture])) == pytest.approx(0.25)
    assert np.asarray(layer([picture, reference])) == pytest.approx(0, abs=1e-6)  # nothing in it is new
    score, each, heat = layer.against(np.concatenate([reference, picture]), picture)
    assert np.asarray(score) == pytest.approx([0], abs=1e-6)  # the second reference has it
    assert np.asarray(each) == pytest.approx(np.array([[0.5, 0]]), abs=1e-6)
    score, _, heat = layer.against(reference, picture)
    assert np.asarray(score) == pytest.approx([0.5])
    assert np.asarray(heat) == pytest.approx(np.array([[[0, 0.5], [0, 0]]]), abs=1e-6)
    with pytest.raises(ValueError, match=r"share of patches in \(0, 1\]"):
        NearestPatch(share=0)


def test_cells_are_as_far_as_the_patches_they_are_part_of():
    """Three patches in a row, of two cells each: four cells, in the same places as the backbone's."""
    layer = NearestPatch(share=1.0, window=2)
    reference = np.array([[[[1.0, 0.0]]]], np.float32)  # one patch is enough of a reference
    picture = np.array([[[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]]], np.float32)  # 0, 1 and 0.4 from it
    score, each, cells = layer.against(reference, picture)
    assert np.allclose(score, 1.4 / 3) and np.allclose(each, 1.4 / 3)
    assert np.allclose(cells, [[[0, 0.5, 0.7, 0.4]] * 2])
    with pytest.raises(ValueError, match="window of 1 or 2"):
        NearestPatch(window=3)
