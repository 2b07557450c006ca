import numpy as np

from experiments import few_rivals
from fsad import recipes, scoring, siamese


def test_synthesised_defects_lie_under_their_masks(rng):
    pictures = rng.integers(100, 120, (6, 64, 64, 3), np.uint8)
    made, masks = few_rivals.synthesise(pictures, rng)
    assert made.dtype == np.uint8 and made.shape == pictures.shape and masks.shape == (6, 64, 64)
    apart = np.abs(made.astype(int) - pictures).max(-1)
    assert masks.any((1, 2)).all() and (apart[masks] > 0).mean() > 0.5
    assert all(apart[k][~masks[k]].mean() < apart[k][masks[k]].mean() for k in range(6))


def test_an_adapted_neck_starts_as_it_was_and_moves(rng):
    recipe = recipes.patches("mobilenet", "none", side=64)
    pictures = rng.integers(0, 255, (3, 64, 64, 3), np.uint8)
    before = scoring.embed(recipe.model, pictures)
    same, moved = (few_rivals.adapted(recipe, pictures, np.random.default_rng(0), epochs=n) for n in (0, 1))
    assert np.allclose(scoring.embed(same.model, pictures), before, atol=1e-5)
    after = scoring.embed(moved.model, pictures)
    assert np.abs(after - before).max() > 1e-4 and np.allclose(np.linalg.norm(after, axis=-1), 1, atol=1e-5)
    assert siamese.nearest_patch(moved.model).window == 2
