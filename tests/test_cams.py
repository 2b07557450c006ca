import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad import scoring, siamese
from fsad.explain import cams
from fsad.explain.comparer import Comparer
from fsad.explain.gradcam import pair_maps

MAPS = tf.constant([[[[3.0, 0.0], [1.0, 2.0]]]])  # one image, 1 x 2 positions, two feature maps
GRADIENT = tf.constant([[[[0.5, 1.0], [0.5, -1.0]]]])


def test_weights_by_hand():
    expected = {
        "gradcam": [0.5, 0],
        "xgradcam": [(0.5 * 3 + 0.5 * 1) / 4, (1 * 0 - 1 * 2) / 2],
        # a g = g / (2 + g sum(A)): twice 0.5 / (2 + 0.5 * 4); once 1 / (2 + 1 * 2), the negative one counts as 0.
        "gradcam++": [2 * 0.5 / 4, 1 / 4],
    }
    for method, values in expected.items():
        np.testing.assert_allclose(cams.weights(MAPS, GRADIENT, method)[0, 0, 0], values, rtol=1e-6)
    # Layer-CAM: each position by its own positive gradient, 0.5 * 3 + 1 * 0 and 0.5 * 1 + 0 * 2.
    by_place = cams.weights(MAPS, GRADIENT, "layercam")
    np.testing.assert_allclose(cams.weighted_sum(MAPS, by_place), [[[1.5, 0.5]]], rtol=1e-6)


@pytest.fixture
def comparer():
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 2, activation="relu", name="early")(keras.layers.Rescaling(1 / 255)(image))
    backbone = keras.Model(image, keras.layers.Conv2D(3, 2, activation="relu", name="late")(x), name="backbone")
    maps = keras.Input(backbone.output_shape[1:])
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    neck = keras.Model(maps, keras.layers.Dense(4, activation="sigmoid")(pooled), name="neck")
    return Comparer(siamese.build(backbone, neck, siamese.distance_head(4)))


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)


@pytest.mark.parametrize("method", cams.BY_GRADIENT)
def test_the_map_against_one_reference_is_that_of_the_second_image_of_a_pair(comparer, images, rng, method):
    reference = rng.integers(0, 256, (1, 4, 4, 3)).astype(np.uint8)
    maps = cams.maps(comparer, images, comparer.references(reference), method=method)
    expected = pair_maps(comparer.model, np.repeat(reference, 5, 0), images, target="different", method=method)
    np.testing.assert_allclose(maps, np.maximum(expected.raw[:, 1], 0), rtol=1e-4, atol=1e-9)


def test_scorecam_of_a_score_is_that_of_the_second_image_of_a_pair(comparer, images, rng):
    reference = rng.integers(0, 256, (1, 4, 4, 3)).astype(np.uint8)
    maps = cams.scorecam_maps(comparer, images, comparer.references(reference), channels=None)
    options = {"target": "different", "method": "scorecam"}
    expected = pair_maps(comparer.model, np.repeat(reference, 5, 0), images, **options).raw[:, 1]
    np.testing.assert_allclose(maps, np.maximum(expected, 0), rtol=1e-3)
    assert cams.scorecam_maps(comparer, images, comparer.references(reference), channels=1).shape == (5, 2, 2)


@pytest.mark.parametrize(
    ("options", "message"), [({"method": "scorecam"}, "gradcam"), ({"layer": "x"}, "early"), ({}, "one image")]
)
def test_score_maps_reject_bad_arguments(comparer, images, options, message):
    references = scoring.embed(comparer.model, images[:1])
    with pytest.raises(ValueError, match=message):
        cams.score_maps(comparer.model, images if options else images[:0], references, **options)
