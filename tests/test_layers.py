import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad import layers
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


def test_nearest_patch_by_hand():
    """Patches on a unit circle: one of four turned by 60 degrees is 1 - cos 60 = 0.5 away, the others 0."""
    one, turned = [1.0, 0.0], [0.5, 0.75**0.5]
    reference = np.array([[[one, one], [one, one]]], np.float32)
    image = np.array([[[one, turned], [one, one]]], np.float32)
    layer = NearestPatch(fraction=0.25)
    assert np.asarray(layer([reference, image])) == pytest.approx(0.5)
    assert np.asarray(NearestPatch(fraction=0.5)([reference, image])) == pytest.approx(0.25)
    assert np.asarray(layer([image, reference])) == pytest.approx(0, abs=1e-6)  # nothing in it is new
    comparison = layer.compare(image, reference)
    assert np.asarray(comparison.score) == pytest.approx([0.5])
    assert np.allclose(comparison.anomaly_map, [[[0, 0.5], [0, 0]]], atol=1e-6)
    comparison = layer.compare(image, np.concatenate([reference, image]))
    assert np.asarray(comparison.score) == pytest.approx([0], abs=1e-6)  # the second reference has it
    assert np.allclose(comparison.per_reference, [[0.5, 0]], atol=1e-6)


def test_cells_are_as_far_as_the_patches_they_are_part_of():
    """Three patches in a row, of two cells each: four cells, in the same places as the backbone's."""
    layer = NearestPatch(fraction=1.0, window=2)
    reference = np.array([[[[1.0, 0.0]]]], np.float32)  # one patch is enough of a reference
    image = np.array([[[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]]], np.float32)  # 0, 1 and 0.4 from it
    score, per_reference, anomaly_map = layer.compare(image, reference)
    assert np.allclose(score, 1.4 / 3) and np.allclose(per_reference, 1.4 / 3)
    assert np.allclose(anomaly_map, [[[0, 0.5, 0.7, 0.4]] * 2])


def test_many_reference_patches_are_taken_in_groups(monkeypatch, rng):
    """What bounds the memory changes no number."""
    layer = NearestPatch(fraction=0.3)
    references, images = (keras.ops.normalize(rng.normal(size=(n, 2, 3, 4)).astype(np.float32)) for n in (5, 2))
    whole = layer.compare(images, references)
    monkeypatch.setattr(layers, "MAX_PATCHES", 12)  # two references at a time
    for one, other in zip(whole, layer.compare(images, references), strict=True):
        assert np.allclose(one, other, atol=1e-6)


def test_nearest_patch_reads_its_former_configuration():
    layer = NearestPatch.from_config({"share": 0.3, "window": 2})
    assert (layer.fraction, layer.window) == (0.3, 2)
    again = NearestPatch.from_config(layer.get_config())
    assert (again.fraction, again.window) == (0.3, 2)


def test_nearest_patch_refuses_fractions_and_windows():
    for fraction in (0, 1.5):
        with pytest.raises(ValueError, match=r"fraction of patches in \(0, 1\]"):
            NearestPatch(fraction)
    with pytest.raises(ValueError, match="window of 1 or 2"):
        NearestPatch(window=3)
