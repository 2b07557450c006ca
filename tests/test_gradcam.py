import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad import scoring, siamese
from fsad.explain.gradcam import METHODS, _weights, gradcam, of_score


def _model(side=4, filters=3, seed=0, head=True):
    keras.utils.set_random_seed(seed)
    picture = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(1 / 255)(picture)
    x = keras.layers.Conv2D(filters, 2, activation="relu", name="early")(x)
    backbone = keras.Model(picture, keras.layers.Conv2D(filters, 2, activation="relu", name="late")(x), name="backbone")
    maps = keras.Input(backbone.output_shape[1:])
    neck = keras.Model(
        maps, keras.layers.Dense(4, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(maps)), name="neck"
    )
    return siamese.build(backbone, neck, siamese.distance_head(4) if head else siamese.bare_distance(4))


@pytest.fixture
def pair(rng):
    return rng.integers(0, 256, (2, 5, 4, 4, 3)).astype(np.uint8)


def test_one_filter_written_out():
    # The backbone adds the colours up: A = r + g + b. Both embeddings are the mean of A, so y = |mean A - mean B|
    # and dy/dA = 1/4 at each of the four places where A has the larger mean, -1/4 for B: the maps are A/4 and -B/4.
    picture = keras.Input((2, 2, 3))
    body = keras.Model(
        picture, keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(picture), name="backbone"
    )
    maps = keras.Input((2, 2, 1))
    neck = keras.Model(maps, keras.layers.GlobalAveragePooling2D()(maps), name="neck")
    model = siamese.build(body, neck, siamese.bare_distance(1))
    first = np.array([[[9, 0, 0], [0, 6, 0]], [[0, 0, 3], [0, 0, 0]]], float)[None]
    second = np.array([[[1, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 2, 0]]], float)[None]
    found = gradcam(model, first, second, target="different")
    np.testing.assert_allclose(found.output, [18 / 4 - 4 / 4], rtol=1e-5)
    # The mean of four gradients of 1/4 is 1/4.
    np.testing.assert_allclose(found.raw[0, 0], np.array([[9, 6], [3, 0]]) / 4, rtol=1e-5)
    np.testing.assert_allclose(found.raw[0, 1], -np.array([[2, 0], [0, 2]]) / 4, rtol=1e-5)
    np.testing.assert_allclose(found.factual[0, 0], np.array([[1, 2 / 3], [1 / 3, 0]]), rtol=1e-5)
    np.testing.assert_array_equal(found.factual[0, 1], 0)
    np.testing.assert_allclose(found.counterfactual[0, 1], [[1, 0], [0, 1]], rtol=1e-5)


@pytest.mark.parametrize("layer", [None, "early"])
def test_the_two_maps_are_the_two_signs_of_one_sum(pair, layer):
    model = _model()
    found = gradcam(model, *pair, target="different", layer=layer)
    other = gradcam(model, *pair, target="same", layer=layer)
    assert (found.raw > 0).any() and (found.raw < 0).any()
    np.testing.assert_allclose(found.raw_counterfactual, -found.raw)
    np.testing.assert_allclose(other.raw, found.raw_counterfactual, rtol=1e-4, atol=1e-9)
    assert not (found.factual * found.counterfactual).any()
    assert found.raw.shape == (5, 2, *((3, 3) if layer else (2, 2)))


@pytest.mark.parametrize("method", METHODS)
def test_swapping_the_pictures_swaps_the_maps(pair, method):
    model = _model()
    found, swapped = (gradcam(model, *some, method=method) for some in (pair, pair[::-1]))
    np.testing.assert_allclose(found.output, swapped.output, rtol=1e-5)
    np.testing.assert_allclose(found.factual, swapped.factual[:, ::-1], atol=1e-4)
    np.testing.assert_allclose(found.counterfactual, swapped.counterfactual[:, ::-1], atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_maps_do_not_depend_on_the_batch(pair, method):
    model = _model()
    whole, single = (gradcam(model, *pair, method=method, batch_size=size) for size in (16, 1))
    np.testing.assert_allclose(whole.raw, single.raw, rtol=1e-3, atol=1e-8)
    assert whole.factual.min() >= 0 and whole.factual.max() <= 1


def test_each_picture_has_its_own_gradient(pair):
    # Against differences: move every value of one feature map a little, by way of a bias in front of the neck.
    model = _model()
    backbone, neck, distance = siamese.parts(model)
    maps = [backbone(p.astype(np.float32)).numpy() for p in pair]
    found = gradcam(model, *pair, target="different")
    step = 1e-2
    for side in (0, 1):
        weights = np.zeros((5, 3))
        for channel in range(3):
            moved = []
            for sign in (1, -1):
                both = [m.copy() for m in maps]
                both[side][..., channel] += sign * step
                moved.append(distance([neck(m) for m in both]).numpy()[:, 0])
            weights[:, channel] = (moved[0] - moved[1]) / (2 * step) / 4  # four places moved at once
        expected = np.einsum("nhwc,nc->nhw", maps[side], weights)
        np.testing.assert_allclose(found.raw[:, side], expected, rtol=0.02, atol=1e-5)


def test_xgradcam_of_constant_maps_is_gradcam(rng):
    # With A the same everywhere, sum(g A) / sum(A) is the mean of g; the model sees flat pictures.
    flat = np.broadcast_to(rng.integers(0, 256, (2, 3, 1, 1, 3)), (2, 3, 4, 4, 3)).astype(np.uint8)
    model = _model()
    kinds = [gradcam(model, *flat, method=method).raw for method in ("gradcam", "xgradcam")]
    np.testing.assert_allclose(kinds[0], kinds[1], rtol=1e-3, atol=1e-8)


def test_gradcam_plus_plus_written_out():
    # One picture, 1 x 2 places, two feature maps.
    maps = tf.constant([[[[3.0, 0.0], [1.0, 2.0]]]])
    gradient = tf.constant([[[[0.5, 1.0], [0.5, -1.0]]]])
    # a g = g / (2 + g sum(A)): twice 0.5 / (2 + 0.5 * 4); once 1 / (2 + 1 * 2), the negative one counts nothing.
    found = _weights(maps, gradient, "gradcam++")
    np.testing.assert_allclose(found, [[2 * 0.5 / 4, 1 / 4]], rtol=1e-6)


def test_scorecam_weighs_by_what_the_target_gains(pair):
    model = _model(filters=2)
    backbone, neck, distance = siamese.parts(model)
    one, two = (p[:1].astype(np.float32) for p in pair)
    maps = backbone(one).numpy()[0]

    def y(picture):
        return float(distance([neck(backbone(picture)), neck(backbone(two))])[0, 0])

    gains = []
    for channel in range(2):
        m = maps[..., channel]
        mask = (m - m.min()) / max(m.max() - m.min(), 1e-12)
        # OpenCV's bilinear resizing is tf.image's with half-pixel centres.
        mask = tf.image.resize(mask[..., None], (4, 4), "bilinear").numpy()
        gains.append(y(one * mask) - y(np.zeros_like(one)))
    weights = np.exp(gains) / np.exp(gains).sum()
    found = gradcam(model, pair[0][:1], pair[1][:1], target="different", method="scorecam")
    np.testing.assert_allclose(found.raw[0, 0], maps @ weights, rtol=1e-3)


def test_of_a_score_against_one_reference_is_the_second_picture_s_map(pair):
    model = _model()
    reference = scoring.embed(model, pair[0][:1])
    found = of_score(model, pair[1], reference)
    expected = gradcam(model, np.repeat(pair[0][:1], 5, 0), pair[1], target="different").raw[:, 1]
    np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=1e-4, atol=1e-9)


def test_a_saved_model_explains_the_same(pair, tmp_path):
    model = _model()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(gradcam(model, *pair).raw, gradcam(again, *pair).raw, rtol=1e-5)


def test_the_target_is_a_callable(pair):
    model = _model()
    found = gradcam(model, *pair, target="different")
    twice = gradcam(model, *pair, target=lambda d: 2 * d)
    np.testing.assert_allclose(twice.raw, 2 * found.raw, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"target": "x"}, "target"), ({"layer": "x"}, "early"), ({"method": "x"}, "gradcam"), ({}, "pairs")],
)
def test_bad_arguments_are_refused(pair, options, message):
    first, second = pair if options else (pair[0], pair[1][:2])
    with pytest.raises(ValueError, match=message):
        gradcam(_model(), first, second, **options)


@pytest.mark.parametrize(
    ("options", "message"), [({"method": "scorecam"}, "gradcam"), ({"layer": "x"}, "early"), ({}, "one picture")]
)
def test_bad_arguments_of_a_score_are_refused(pair, options, message):
    pictures = pair[0] if options else pair[0][:0]
    with pytest.raises(ValueError, match=message):
        of_score(_model(), pictures, np.zeros((1, 4), np.float32), **options)
