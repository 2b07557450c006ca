import numpy as np
import pytest

from fsad import recipes
from fsad.explain import methods
from fsad.explain.comparer import Comparer


def test_every_method_of_a_network_of_vectors_on_one_interface(tiny_recipe, rng):
    comparer = Comparer(tiny_recipe().model)
    images = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    references = comparer.references(rng.integers(0, 256, (3, 16, 16, 3), np.uint8))
    assert methods.available(comparer.model) == methods.GENERAL
    for method in methods.GENERAL:
        maps = methods.explain(comparer, images, references, method=method)
        assert maps.dtype == np.float32 and len(maps) == 2 and maps.ndim == 3, method
        assert np.isfinite(maps).all() and np.ptp(maps[0]) > 0, method
        alone = methods.explain(comparer, images[1:], references, method=method)
        np.testing.assert_allclose(alone[0], maps[1], rtol=0.01, atol=0.01 * abs(maps[1]).max(), err_msg=method)


def test_a_method_of_your_own_has_the_same_interface(tiny_recipe, rng):
    comparer = Comparer(tiny_recipe().model)
    images = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)

    def brightness(comparer, images, references, target, channel=0):
        return images[..., channel]

    maps = methods.explain(comparer, images, comparer.references(images), method=brightness, channel=1)
    assert maps.dtype == np.float32 and np.array_equal(maps, images[..., 1])


def test_patches_have_their_distances_and_all_that_needs_no_vectors(rng):
    recipe = recipes.patches.build("filter_bank", side=64)
    comparer = Comparer(recipe.model, views=recipe.views)
    images = rng.integers(0, 256, (1, 64, 64, 3), np.uint8)
    assert methods.available(comparer.model) == ("patches", *methods.GENERAL)
    for method in ("patches", "sinex"):
        maps = methods.explain(comparer, images, comparer.references(images), method=method)
        assert len(maps) == 1 and np.isfinite(maps).all()


def test_options_reach_the_method_and_mistakes_are_named(adding):
    comparer, images = adding(4), np.full((1, 4, 4, 3), 9, np.uint8)
    references = comparer.references(np.zeros((1, 4, 4, 3), np.uint8))
    coarse = methods.explain(comparer, images, references, method="occlusion", window=1.0)
    assert np.ptp(coarse) == 0
    for options, message in (
        ({"method": "magic"}, "Expected a method among patches, attention, saliency"),
        ({"method": "patches"}, "compares patches"),
        ({"method": "attention"}, "attention mechanism"),
        ({"method": "gradcam", "method_": 1}, "Expected options of gradcam"),
        ({"method": "saliency", "window": 1}, "among sigma"),
        ({"method": "saliency", "target": "up"}, "target among"),
    ):
        with pytest.raises(ValueError, match=message):
            methods.explain(comparer, images, references, **options)


def test_what_is_shown():
    one = np.array([[-3.0, -1], [2, 4]])
    assert methods.shown("saliency", one).tolist() == [[0, 0], [2, 4]]
    assert methods.shown("sinex", one).tolist() == [[0, 2], [5, 7]]


def test_of_a_detector(fitted):
    comparer, references = methods.of(fitted.fitted)
    images = fitted.fitted.reference_images
    assert len(references.images) == len(images) == 18 and comparer.reduction == fitted.fitted.reduction
    assert np.allclose(comparer.values(images[:2], references), fitted.scorer(images[:2])["score"], atol=1e-3)
