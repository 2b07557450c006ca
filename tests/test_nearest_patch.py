import keras
import numpy as np
import pytest

from fsad import nearest_patch
from fsad.nearest_patch import FLOOR, NearestPatch

ONE, TURNED = [1.0, 0.0], [0.5, 0.75**0.5]  # 60 degrees apart: 1 - cos 60 = 0.5


def built(layer, shape):
    layer.build([(None, *shape)] * 2)
    return layer


def test_a_pair_by_hand():
    """One of four patches is turned by 60 degrees, 0.5 away, the others 0."""
    reference, image = (np.array([[[ONE, x], [ONE, ONE]]], np.float32) for x in (ONE, TURNED))
    layer = NearestPatch(fractions=0.25)
    assert np.asarray(layer([reference, image])) == pytest.approx(0.5)
    assert np.asarray(NearestPatch(fractions=(0.25, 0.5))([reference, image])) == pytest.approx(0.25)
    assert np.asarray(layer([image, reference])) == pytest.approx(0, abs=1e-6)  # nothing in it is new
    assert np.allclose(layer.distances(image, reference)[0, ..., 0], [[0, 0.5], [0, 0]], atol=1e-6)
    both = np.concatenate([reference, image])
    assert np.allclose(layer.distances(image, both), 0, atol=1e-6)  # the second reference has it
    assert np.allclose(layer.compare(image, both).per_reference, [[0.5, 0]], atol=1e-6)


def test_the_patch_that_answers_by_hand():
    """The upper right patch is turned; of the two references the second has the like of it, at the lower left."""
    image, first = (np.array([[[ONE, x], [ONE, ONE]]], np.float32) for x in (TURNED, ONE))
    second = np.array([[[ONE, ONE], [[0.6, 0.8], ONE]]], np.float32)
    layer = NearestPatch(smoothing=0, usual=False)
    layer([first, image])
    answer = np.asarray(layer.compare(image, np.concatenate([first, second])).answer)
    assert np.allclose(answer, [[0.75, 0.25, 4 + 2, 1 - 0.3 - 0.8 * 0.75**0.5]], atol=1e-6)
    assert layer.centres((2, 2)).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]


def test_windows_overlap_and_every_second_one_is_a_reference():
    """Four windows of 2 x 2 cells in a row of 5 cells; as references, the first and the third."""
    layer = built(NearestPatch(window=2), (1, 4, 2))
    assert np.allclose(layer.centres((1, 4)), [[x, 0.5] for x in (0.2, 0.4, 0.6, 0.8)])
    assert np.allclose(built(NearestPatch(window=2), (2, 4, 2)).centres((1, 2)), [[0.2, 1 / 3], [0.6, 1 / 3]])
    assert np.allclose(built(NearestPatch(window=2), (1, 7, 2)).centres((1, 4))[:, 0], [0.125, 0.375, 0.625, 0.875])


def test_layers_are_compared_each_for_itself():
    """In the first layer the image is as the reference, in the second turned: half of 0.5."""
    reference, image = (np.array([[[ONE + x]]], np.float32) for x in (ONE, TURNED))
    layer = NearestPatch(channels=(2, 2), fractions=1.0)
    assert np.asarray(layer([reference, image])) == pytest.approx(0.25)
    assert np.allclose(layer.distances(image, reference), [[[[0, 0.5]]]], atol=1e-6)


def test_score_and_map_by_hand():
    """One cell, one layer: a distance of 0.5 where 0.1 is usual. s = log 0.5 and log 5; z = (s - mean) / deviation."""
    layer = built(NearestPatch(fractions=1.0, smoothing=0), (1, 1, 2))
    mean, deviation, weight = np.log([0.1, 1.0]), np.array([0.5, 0.25]), np.array([0.75, 0.25])
    layer.adapt(np.full((1, 1, 1), 0.1), mean, deviation, weight)
    maps = np.full((1, 1, 1, 1), 0.5, np.float32)
    assert np.allclose(layer.features(maps), [np.log([0.5, 5])], atol=1e-5)
    expected = 0.75 * np.log(5) / 0.5 + 0.25 * np.log(5) / 0.25
    assert np.allclose(layer.score(maps), [expected], atol=1e-4)
    assert np.allclose(layer.anomaly_map(maps), [[[expected]]], atol=1e-4)


def test_what_is_nearer_than_a_fraction_of_the_usual_is_all_alike():
    """Else the rounding errors of an image that is a reference would make its score."""
    layer = built(NearestPatch(smoothing=0), (1, 1, 2))
    layer.adapt(np.full((1, 1, 1), 0.1), np.zeros(4), np.ones(4), np.full(4, 0.25))
    small, none = (layer.score(np.full((1, 1, 1, 1), x, np.float32)) for x in (1e-7, 0))
    assert np.allclose(small, none) and np.allclose(none, np.log([0.1 * FLOOR, FLOOR]).mean(), atol=1e-5)


def test_smoothing_spreads_a_defect_and_keeps_what_is_even():
    layer = built(NearestPatch(smoothing=1.0), (5, 5, 2))
    layer.adapt(np.ones((5, 5, 1)), np.zeros(4), np.ones(4), np.full(4, 0.25))
    even = np.full((1, 5, 5, 1), 0.5, np.float32)
    spot = even.copy()
    spot[0, 2, 2] = 1.0
    assert np.allclose(layer.smoothed(even), even)
    assert 0.5 < layer.smoothed(spot)[0, 2, 1, 0] < layer.smoothed(spot)[0, 2, 2, 0] < 1
    assert np.allclose(np.exp(layer.anomaly_map(spot)), layer.smoothed(spot)[..., 0], atol=1e-5)


def test_cells_are_as_far_as_the_patches_they_are_part_of():
    """Three patches in a row, of two cells each: four cells, in the same places as the backbone's."""
    layer = built(NearestPatch(window=2), (1, 3, 2))
    reference = np.array([[[[1.0, 0.0]]]], np.float32)  # one patch is enough of a reference
    image = np.array([[[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]]], np.float32)  # 0, 1 and 0.4 from it
    assert np.allclose(layer.distances(image, reference)[..., 0], [[[0, 0.5, 0.7, 0.4]] * 2])


def test_many_reference_patches_are_taken_in_groups(monkeypatch, rng):
    """What bounds the memory changes no number."""
    layer = built(NearestPatch(channels=(1, 3), fractions=0.3), (2, 3, 4))
    references, images = (np.abs(rng.normal(size=(n, 2, 3, 4))).astype(np.float32) for n in (5, 2))
    whole = layer.compare(images, references)
    monkeypatch.setattr(nearest_patch, "MAX_PATCHES", 12)  # two references at a time
    for one, other in zip(whole, layer.compare(images, references), strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_a_small_defect_does_not_drown_in_a_large_image():
    """One cell of 400 is ten times as far as the others: 1 / 4 of a tile of 2 x 2 cells, 1 / 400 of the image."""
    maps = np.full((1, 20, 20, 1), 0.01, np.float32)
    maps[0, 13, 7] = 0.1
    options = {"fractions": 0.25, "smoothing": 0, "usual": False}
    whole, tiled = (built(NearestPatch(tile=tile, **options), (20, 20, 2)) for tile in (None, (2, 2)))
    assert np.allclose(whole.features(maps), np.log((99 * 0.01 + 0.1) / 100), atol=1e-5)
    assert np.allclose(tiled.features(maps), np.log(0.1), atol=1e-5)


def test_what_is_fitted_is_saved_with_the_layer(tmp_path):
    sides = [keras.Input((2, 2, 4)) for _ in range(2)]
    layer = NearestPatch((2, 2), fractions=(0.1, 0.5), smoothing=0.5, usual=False)
    model = keras.Model(sides, layer(sides))
    numbers = np.full((2, 2, 2), 0.3), np.arange(4.0), np.arange(1.0, 5), np.full(4, 0.25)
    layer.adapt(*numbers)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").layers[-1]
    assert again.get_config() == layer.get_config() and again.fractions == (0.1, 0.5)
    for name, expected in zip(("usual_map", "mean", "deviation", "weight"), numbers, strict=True):
        assert np.allclose(getattr(again, name), expected)


def test_what_is_refused():
    for fractions in (0, 1.5, (), (0.1, 2)):
        with pytest.raises(ValueError, match=r"fractions of patches in \(0, 1\]"):
            NearestPatch(fractions=fractions)
    with pytest.raises(ValueError, match="window of 1 or 2"):
        NearestPatch(window=3)
    with pytest.raises(ValueError, match="smoothing of at least 0"):
        NearestPatch(smoothing=-1)
    with pytest.raises(ValueError, match=r"embeddings of 3 channels. Received: 4"):
        built(NearestPatch(channels=(1, 2)), (1, 1, 4))
