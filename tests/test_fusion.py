import numpy as np
import pytest

from fsad import fusion
from fsad.nearest_patch import NearestPatch


@pytest.fixture
def layer():
    """Two layers, one fraction, maps of 2 x 2 cells, without smoothing: features are d and d / m of each layer."""
    layer = NearestPatch(channels=(1, 1), fractions=1.0, smoothing=0)
    layer.build([(None, 2, 2, 2)] * 2)
    return layer


def maps(rng, count, means):
    """Distances that vary by 10 % from image to image."""
    return (np.array(means) * np.exp(rng.normal(0, 0.1, (count, 1, 1, 2))) * np.ones((1, 2, 2, 1))).astype(np.float32)


def test_the_usual_is_half_that_of_the_place(layer):
    """Two images, (0.1, 0.3, 0.1, 0.1) and (0.3, 0.5, 0.1, 0.1) at the four places: 0.2 in all, 0.4 at the second."""
    good = np.array([[0.1, 0.3, 0.1, 0.1], [0.3, 0.5, 0.1, 0.1]], np.float32).reshape(2, 2, 2, 1).repeat(2, axis=3)
    assert np.allclose(fusion.usual(layer, good)[..., 0], [[0.2, 0.3], [0.15, 0.15]])
    assert (fusion.usual(layer, 0 * good) == np.float32(fusion.SMALLEST)).all()


def test_held_out_scores_are_on_the_scale_of_new_ones_and_do_not_know_their_image(layer, rng):
    """What is usual is taken without the image: where it alone is far at one place, d / m is larger than with it."""
    good = maps(rng, 12, (0.1, 0.1))
    good[0, 0, 0] *= 5
    numbers, scores, none = fusion.fit(layer, good, good[:0], np.arange(12))
    layer.adapt(*numbers)
    known = np.asarray(layer.score(good))
    assert scores[0] > known[0] and np.abs(scores[1:] - known[1:]).max() < 0.5 and len(none) == 0
    _, together, _ = fusion.fit(layer, good, good[:0], np.array([0, 0, *range(2, 12)]))
    assert not np.allclose(together[1], scores[1])  # of one group with the one apart


def test_without_defective_images_weights_are_equal_and_with_them_they_are_not(layer, rng):
    good, defective = maps(rng, 16, (0.1, 0.1)), maps(rng, 8, (0.1, 0.12))  # the second layer tells, not for certain
    equal, _, _ = fusion.fit(layer, good, defective, np.arange(16), weigh=False)
    assert np.allclose(equal.weight, 0.25)
    numbers, good_scores, defective_scores = fusion.fit(layer, good, defective, np.arange(16))
    assert numbers.weight.sum() == pytest.approx(1) and (numbers.weight >= 0).all()
    assert numbers.weight[2:].sum() > 0.55 and defective_scores.mean() > good_scores.mean()
    one, _, _ = fusion.fit(layer, good, defective[:1], np.arange(16))
    assert np.allclose(one.weight, 0.25)  # one is no sample


def test_few_images_correct_the_equal_weights_and_do_not_replace_them(rng):
    """Of two features the first tells, somewhat: by 1 deviation."""
    labels = [0] * 8 + [1] * 8
    z = rng.normal(size=(16, 2)) + np.outer(labels, [1, 0])
    few, many = fusion.weights(z, labels), fusion.weights(np.tile(z, (50, 1)), labels * 50)
    assert 0.5 < few[0] < many[0] and fusion.weights(z, labels, strength=1e-9) == pytest.approx(0.5, abs=1e-3)
    separate = np.array([[-1.0, 1], [0, 0], [2, 2], [3, 2]])
    assert fusion.weights(separate, [0, 0, 1, 1]) == pytest.approx(0.5, abs=0.05)  # there is nothing to correct


def test_two_good_images_are_enough(layer, rng):
    numbers, scores, _ = fusion.fit(layer, maps(rng, 2, (0.1, 0.1)), maps(rng, 0, (0.1, 0.1)), [0, 1])
    assert np.isfinite(scores).all() and all(np.isfinite(values).all() for values in numbers)
