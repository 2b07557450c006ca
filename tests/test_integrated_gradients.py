import numpy as np

from fsad.explain import faithfulness, integrated_gradients
from fsad.explain.comparer import Comparer


def test_of_a_linear_score_each_value_adds_its_difference(adding, rng):
    comparer = adding(4)
    reference = rng.integers(0, 100, (1, 4, 4, 3), np.uint8)
    images = reference + rng.integers(1, 100, (3, 4, 4, 3), np.uint8)
    attributions = integrated_gradients.attributions(comparer, images, comparer.references(reference), steps=2)
    np.testing.assert_allclose(attributions, images.astype(float) - reference, rtol=1e-4)
    maps = integrated_gradients.maps(comparer, images, comparer.references(reference), steps=2)
    np.testing.assert_allclose(maps, attributions.sum(-1), rtol=1e-5)


def test_completeness(tiny_recipe, rng):
    """The attributions sum up to the score less that of the baseline, the better the more steps."""
    comparer = Comparer(tiny_recipe(distance="cosine").model)
    images, others = (rng.integers(0, 256, (2, 16, 16, 3), np.uint8) for _ in range(2))
    references = comparer.references(rng.integers(0, 256, (3, 16, 16, 3), np.uint8))
    change = comparer.values(images, references) - comparer.values(others, references)
    options = {"baselines": others}
    coarse, fine = (
        integrated_gradients.attributions(comparer, images, references, steps=steps, **options) for steps in (1, 64)
    )
    errors = [faithfulness.completeness(one, change) for one in (coarse, fine)]
    assert (errors[1] < 0.05).all() and (errors[1] < errors[0]).all()
