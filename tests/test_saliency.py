import keras
import numpy as np
import pytest

from fsad import scoring, siamese
from fsad.explain.saliency import saliency_maps, smooth


def linear_model(weights):
    """A two-input model whose dissimilarity is sigmoid(|w . a - w . b|), with w over all pixels."""
    shape = weights.shape
    image = keras.Input(shape)
    backbone = keras.Model(image, keras.layers.Identity()(image), name="backbone")
    features = keras.Input(shape)
    dense = keras.layers.Dense(1, use_bias=False, name="w")
    neck = keras.Model(features, dense(keras.layers.Flatten()(features)), name="neck")
    dense.set_weights([weights.reshape(-1, 1)])
    head = siamese.distance_head(1)
    head.get_layer("dissimilarity").set_weights([np.ones((1, 1), np.float32), np.zeros(1, np.float32)])
    return siamese.build(backbone, neck, head)


def test_saliency_of_a_linear_model_is_its_weights(rng):
    weights = rng.normal(0, 1e-4, (5, 5, 3)).astype(np.float32)
    model = linear_model(weights)
    images = rng.uniform(0, 255, (3, 5, 5, 3)).astype(np.float32)
    references = np.zeros((1, 1), np.float32)
    maps = saliency_maps(model, images, references, sigma=0)
    score = np.asarray(scoring.dissimilarities(model, scoring.embed(model, images), references))
    slope = score * (1 - score)  # of the sigmoid
    expected = np.abs(weights).mean(-1) * slope[:, :, None]
    assert maps.shape == (3, 5, 5)
    assert np.allclose(maps, expected, rtol=1e-4)
    # The gradient of the distance, instead of the score, is the weights themselves.
    import tensorflow as tf

    distance = saliency_maps(model, images, references, sigma=0, target=lambda d: tf.math.log(d / (1 - d))[:, 0])
    assert np.allclose(distance, np.abs(weights).mean(-1)[None], rtol=1e-3)


def test_a_batch_gives_the_same_maps_as_single_images(tiny_recipe, rng):
    model = tiny_recipe().model
    images = rng.integers(0, 256, (5, 16, 16, 3), np.uint8)
    # Of other images: at distance 0 the sign of a - b would be that of a rounding error.
    references = scoring.embed(model, rng.integers(0, 256, (2, 16, 16, 3), np.uint8))
    maps = saliency_maps(model, images, references)
    single = np.concatenate([saliency_maps(model, image[None], references) for image in images])
    assert maps.shape == (5, 16, 16) and np.allclose(maps, single, rtol=1e-3)
    assert (maps >= 0).all() and maps.max() > 0


def test_the_kernel_is_a_gaussian_that_preserves_the_sum():
    spike = np.zeros((1, 31, 31), np.float32)
    spike[0, 15, 15] = 1
    spread = smooth(spike, sigma=2)[0]
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    assert spread[15, 17] / spread[15, 15] == pytest.approx(np.exp(-0.5), rel=1e-3)
    assert spread[15, 22] == 0  # truncated at 3 sigma


def test_rejects_an_empty_batch(tiny_recipe):
    with pytest.raises(ValueError, match="at least one image"):
        saliency_maps(tiny_recipe().model, np.zeros((0, 16, 16, 3)), np.zeros((1, 6)))
