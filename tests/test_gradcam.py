import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad import siamese
from fsad.explain.gradcam import METHODS, pair_maps


def _model(side=4, filters=3, seed=0, head=True):
    keras.utils.set_random_seed(seed)
    image = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(filters, 2, activation="relu", name="early")(x)
    backbone = keras.Model(image, keras.layers.Conv2D(filters, 2, activation="relu", name="late")(x), name="backbone")
    maps = keras.Input(backbone.output_shape[1:])
    neck = keras.Model(
        maps, keras.layers.Dense(4, activation="sigmoid")(keras.layers.GlobalAveragePooling2D()(maps)), name="neck"
    )
    return siamese.build(backbone, neck, siamese.distance_head(4) if head else siamese.bare_distance(4))


@pytest.fixture
def pair(rng):
    return rng.integers(0, 256, (2, 5, 4, 4, 3)).astype(np.uint8)


def test_one_filter_by_hand():
    # The backbone adds up the colours: A = r + g + b. Both embeddings are the mean of A, so y = |mean A - mean B|
    # and dy/dA = 1/4 at each of the four positions where A has the larger mean, -1/4 for B: the maps are A/4 and -B/4.
    image = keras.Input((2, 2, 3))
    body = keras.Model(
        image, keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(image), name="backbone"
    )
    maps = keras.Input((2, 2, 1))
    neck = keras.Model(maps, keras.layers.GlobalAveragePooling2D()(maps), name="neck")
    model = siamese.build(body, neck, siamese.bare_distance(1))
    first = np.array([[[9, 0, 0], [0, 6, 0]], [[0, 0, 3], [0, 0, 0]]], float)[None]
    second = np.array([[[1, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 2, 0]]], float)[None]
    explanation = pair_maps(model, first, second, target="different")
    np.testing.assert_allclose(explanation.output, [18 / 4 - 4 / 4], rtol=1e-5)
    # The mean of four gradients of 1/4 is 1/4.
    np.testing.assert_allclose(explanation.raw[0, 0], np.array([[9, 6], [3, 0]]) / 4, rtol=1e-5)
    np.testing.assert_allclose(explanation.raw[0, 1], -np.array([[2, 0], [0, 2]]) / 4, rtol=1e-5)
    np.testing.assert_allclose(explanation.factual[0, 0], np.array([[1, 2 / 3], [1 / 3, 0]]), rtol=1e-5)
    np.testing.assert_array_equal(explanation.factual[0, 1], 0)
    np.testing.assert_allclose(explanation.counterfactual[0, 1], [[1, 0], [0, 1]], rtol=1e-5)


@pytest.mark.parametrize("layer", [None, "early"])
def test_factual_and_counterfactual_map_are_the_two_signs_of_one_sum(pair, layer):
    model = _model()
    explanation = pair_maps(model, *pair, target="different", layer=layer)
    same = pair_maps(model, *pair, target="same", layer=layer)
    assert (explanation.raw > 0).any() and (explanation.raw < 0).any()
    np.testing.assert_allclose(explanation.raw_counterfactual, -explanation.raw)
    np.testing.assert_allclose(same.raw, explanation.raw_counterfactual, rtol=1e-4, atol=1e-9)
    assert not (explanation.factual * explanation.counterfactual).any()
    assert explanation.raw.shape == (5, 2, *((3, 3) if layer else (2, 2)))


@pytest.mark.parametrize("method", METHODS)
def test_swapping_the_images_swaps_the_maps(pair, method):
    model = _model()
    explanation, swapped = (pair_maps(model, *images, method=method) for images in (pair, pair[::-1]))
    np.testing.assert_allclose(explanation.output, swapped.output, rtol=1e-5)
    np.testing.assert_allclose(explanation.factual, swapped.factual[:, ::-1], atol=1e-4)
    np.testing.assert_allclose(explanation.counterfactual, swapped.counterfactual[:, ::-1], atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_maps_do_not_depend_on_the_batch(pair, method):
    model = _model()
    whole, single = (pair_maps(model, *pair, method=method, batch_size=size) for size in (16, 1))
    np.testing.assert_allclose(whole.raw, single.raw, rtol=1e-3, atol=1e-8)
    assert whole.factual.min() >= 0 and whole.factual.max() <= 1


def test_each_image_has_its_own_gradient(pair):
    # Against finite differences: shift all values of one feature map a little, in front of the neck.
    model = _model()
    backbone, neck, distance = siamese.parts(model)
    maps = [backbone(p.astype(np.float32)).numpy() for p in pair]
    explanation = pair_maps(model, *pair, target="different")
    step = 1e-2
    for side in (0, 1):
        weights = np.zeros((5, 3))
        for channel in range(3):
            shifted = []
            for sign in (1, -1):
                both = [m.copy() for m in maps]
                both[side][..., channel] += sign * step
                shifted.append(distance([neck(m) for m in both]).numpy()[:, 0])
            weights[:, channel] = (shifted[0] - shifted[1]) / (2 * step) / 4  # four positions shift at once
        expected = np.einsum("nhwc,nc->nhw", maps[side], weights)
        np.testing.assert_allclose(explanation.raw[:, side], expected, rtol=0.02, atol=1e-5)


def test_xgradcam_of_constant_maps_is_gradcam(rng):
    # With constant A, sum(g A) / sum(A) is the mean of g; flat images have constant feature maps.
    flat = np.broadcast_to(rng.integers(0, 256, (2, 3, 1, 1, 3)), (2, 3, 4, 4, 3)).astype(np.uint8)
    model = _model()
    kinds = [pair_maps(model, *flat, method=method).raw for method in ("gradcam", "xgradcam")]
    np.testing.assert_allclose(kinds[0], kinds[1], rtol=1e-3, atol=1e-8)


def test_scorecam_weights_are_the_softmax_of_the_gains(pair):
    model = _model(filters=2)
    backbone, neck, distance = siamese.parts(model)
    one, two = (p[:1].astype(np.float32) for p in pair)
    maps = backbone(one).numpy()[0]

    def y(image):
        return float(distance([neck(backbone(image)), neck(backbone(two))])[0, 0])

    gains = []
    for channel in range(2):
        m = maps[..., channel]
        mask = (m - m.min()) / max(m.max() - m.min(), 1e-12)
        # OpenCV's bilinear resizing is tf.image's with half-pixel centres.
        mask = tf.image.resize(mask[..., None], (4, 4), "bilinear").numpy()
        gains.append(y(one * mask) - y(np.zeros_like(one)))
    weights = np.exp(gains) / np.exp(gains).sum()
    explanation = pair_maps(model, pair[0][:1], pair[1][:1], target="different", method="scorecam")
    np.testing.assert_allclose(explanation.raw[0, 0], maps @ weights, rtol=1e-3)


def test_a_saved_model_gives_the_same_maps(pair, tmp_path):
    model = _model()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(pair_maps(model, *pair).raw, pair_maps(loaded, *pair).raw, rtol=1e-5)


def test_the_target_can_be_a_callable(pair):
    model = _model()
    explanation = pair_maps(model, *pair, target="different")
    twice = pair_maps(model, *pair, target=lambda d: 2 * d)
    np.testing.assert_allclose(twice.raw, 2 * explanation.raw, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"target": "x"}, "target"), ({"layer": "x"}, "early"), ({"method": "x"}, "gradcam"), ({}, "pairs")],
)
def test_pair_maps_rejects_bad_arguments(pair, options, message):
    first, second = pair if options else (pair[0], pair[1][:2])
    with pytest.raises(ValueError, match=message):
        pair_maps(_model(), first, second, **options)
