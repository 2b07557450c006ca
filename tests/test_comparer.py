import numpy as np
import pytest

from fsad import scoring
from fsad.explain.comparer import Comparer, target_of


def test_values_gradients_and_the_nearest_reference_by_hand(adding):
    comparer = adding(2)
    images = np.zeros((2, 2, 2, 3), np.uint8)
    images[0, 0, 0, 0], images[1] = 5, 9
    references = comparer.references(np.stack([np.full((2, 2, 3), 1, np.uint8), np.full((2, 2, 3), 8, np.uint8)]))
    # Sums of 5 and 108 against 12 and 96: the mean distances are (7 + 91) / 2 and (96 + 12) / 2.
    values, gradients = comparer.gradients(images, references)
    np.testing.assert_allclose(values, [49, 54], rtol=1e-5)
    np.testing.assert_allclose(gradients[0], -1, rtol=1e-5)  # more of anything brings it nearer to both
    np.testing.assert_allclose(gradients[1], 1, rtol=1e-5)
    np.testing.assert_allclose(comparer.values(images, references, "same"), [-49, -54], rtol=1e-5)
    first = comparer.values(images, references, lambda comparison: comparison.per_reference[:, 0])
    np.testing.assert_allclose(first, [7, 96], rtol=1e-5)
    assert comparer.nearest(images, references)[:, 0, 0, 0].tolist() == [1, 8]


def test_the_score_is_that_of_scoring(tiny_recipe, rng):
    comparer = Comparer(tiny_recipe().model, "min")
    images = rng.integers(0, 256, (40, 16, 16, 3), np.uint8)  # more than a batch
    references = comparer.references(images[:3])
    expected = scoring.score(comparer.model, scoring.embed(comparer.model, images), references.embeddings, "min")
    np.testing.assert_allclose(comparer.values(images, references), expected, rtol=1e-4)


def test_rejects_unknown_targets_and_no_image(adding):
    with pytest.raises(ValueError, match="target among different, same"):
        target_of("up")
    with pytest.raises(ValueError, match="at least one image"):
        list(adding(2).values(np.zeros((0, 2, 2, 3)), None))
