import keras
import numpy as np
import pytest

from fsad import scoring, siamese
from fsad.explain.saliency import saliency, smooth


def linear_model(weights):
    """A two-picture model whose dissimilarity is sigmoid(|w . a - w . b|), with w over all pixels."""
    shape = weights.shape
    picture = keras.Input(shape)
    backbone = keras.Model(picture, keras.layers.Identity()(picture), name="backbone")
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
    pictures = rng.uniform(0, 255, (3, 5, 5, 3)).astype(np.float32)
    references = np.zeros((1, 1), np.float32)
    maps = saliency(model, pictures, references, sigma=0)
    score = np.asarray(scoring.compare(model, scoring.embed(model, pictures), references))
    slope = score * (1 - score)  # of the sigmoid
    expected = np.abs(weights).mean(-1) * slope[:, :, None]
    assert maps.shape == (3, 5, 5)
    assert np.allclose(maps, expected, rtol=1e-4)
    # Differentiating the distance in place of the score leaves the weights themselves.
    import tensorflow as tf

    distance = saliency(model, pictures, references, sigma=0, target=lambda d: tf.math.log(d / (1 - d))[:, 0])
    assert np.allclose(distance, np.abs(weights).mean(-1)[None], rtol=1e-3)


def test_a_batch_gives_what_single_pictures_give(tiny_recipe, rng):
    model = tiny_recipe().model
    pictures = rng.integers(0, 256, (5, 16, 16, 3), np.uint8)
    # Not of the same pictures: at distance 0 the sign of |a - b| is that of a rounding error.
    references = scoring.embed(model, rng.integers(0, 256, (2, 16, 16, 3), np.uint8))
    maps = saliency(model, pictures, references, batch_size=2)
    alone = np.concatenate([saliency(model, p[None], references) for p in pictures])
    assert maps.shape == (5, 16, 16) and np.allclose(maps, alone, rtol=1e-3)
    assert (maps >= 0).all() and maps.max() > 0


def test_kernel_is_a_gaussian_that_keeps_the_sum():
    spike = np.zeros((1, 31, 31), np.float32)
    spike[0, 15, 15] = 1
    spread = smooth(spike, sigma=2)[0]
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    assert spread[15, 17] / spread[15, 15] == pytest.approx(np.exp(-0.5), rel=1e-3)
    assert spread[15, 22] == 0  # cut at 3 sigma


def test_no_picture_is_an_error(tiny_recipe):
    with pytest.raises(ValueError, match="at least one picture"):
        saliency(tiny_recipe().model, np.zeros((0, 16, 16, 3)), np.zeros((1, 6)))
