import numpy as np
import pytest

from experiments.ablations import learned
from fsad import recipes, scoring


def test_synthetic_defects_lie_under_their_masks(rng):
    images = rng.integers(100, 120, (6, 64, 64, 3), np.uint8)
    defective, masks = learned.synthesise(images, rng)
    assert defective.dtype == np.uint8 and defective.shape == images.shape and masks.shape == (6, 64, 64)
    change = np.abs(defective.astype(int) - images).max(-1)
    assert masks.any((1, 2)).all() and (change[masks] > 0).mean() > 0.5
    assert all(change[k][~masks[k]].mean() < change[k][masks[k]].mean() for k in range(6))


@pytest.mark.slow
def test_an_adapted_neck_starts_as_it_was_and_moves(rng):
    recipe = recipes.patches.build("mobilenet", "none", ["conv_pw_9_relu"], 64, power=1, components=None)
    images = rng.integers(0, 255, (3, 64, 64, 3), np.uint8)
    before = scoring.embed(recipe.model, images)
    same, moved = (learned.adapted(recipe, images, np.random.default_rng(0), epochs=n) for n in (0, 1))
    assert np.allclose(scoring.embed(same.model, images), before, atol=1e-5)
    after = scoring.embed(moved.model, images)
    assert np.abs(after - before).max() > 1e-4 and np.allclose(np.linalg.norm(after, axis=-1), 1, atol=1e-5)
