import numpy as np
import pytest

from fsad import recipes
from fsad.explain import patches
from fsad.explain.comparer import Comparer


def test_the_reference_patch_that_answers(rng):
    """The image is a reference with one patch replaced: all patches but those around it answer for themselves, at
    distance 0, and the one that differs from all is listed first."""
    recipe = recipes.patches.build("filter_bank", side=96, smoothing=0, usual=False)
    comparer = Comparer(recipe.model, views=recipe.views)
    reference = rng.integers(0, 60, (2, 96, 96, 3), np.uint8)
    image = reference[1].copy()
    image[32:48, 64:80] = rng.integers(150, 256, (16, 16, 3))
    references = comparer.references(reference)
    maps = patches.maps(comparer, image[None], references)
    assert maps.shape == (1, 6, 6)
    assert np.abs(np.subtract(divmod(maps[0].argmax(), 6), (2, 4))).max() <= 1  # a filter sees its neighbours
    answers = patches.answers(comparer, image, references, count=4)
    assert len(answers) == 4 and np.abs(np.subtract(answers[0].place, (4.5 / 6, 2.5 / 6))).max() < 1.1 / 6
    distances = [answer.distance for answer in answers]
    assert distances == sorted(distances, reverse=True) and distances[0] > 0
    for answer in answers[1:]:
        assert max(abs(np.subtract(answer.place, answers[0].place))) >= 0.25
    itself = patches.answers(comparer, reference[1], references, count=1)[0]
    assert itself.reference == 1 and itself.view == 0 and itself.distance < 1e-5 and itself.at == itself.place


def test_needs_a_network_of_patches(adding):
    with pytest.raises(ValueError, match="compares patches"):
        patches.maps(adding(2), np.zeros((1, 2, 2, 3)), None)
