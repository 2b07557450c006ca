import numpy as np
import pytest

from fsad.explain import segments, sinex


@pytest.fixture
def case(adding, monkeypatch):
    """Four quarters of 2 x 2 pixels, of which the first adds 1200 to the score and the third 600."""
    comparer = adding(4)
    labels = np.repeat([[0, 1], [2, 3]], 2, 0).repeat(2, 1)
    monkeypatch.setattr(segments, "slic", lambda image, count: labels)
    images = np.zeros((1, 4, 4, 3), np.uint8)
    images[0, :2, :2], images[0, 2:, :2] = 100, 50
    return comparer, images, comparer.references(np.zeros((1, 4, 4, 3), np.uint8))


def test_sinex_by_hand(case):
    """Alone, the quarters score 1200, 0, 600 and 0, the image 1800; each has 4 pixels."""
    maps = sinex.maps(*case)
    np.testing.assert_allclose(maps[0, ::2, ::2], [[-600 / 4, -1800 / 4], [-1200 / 4, -1800 / 4]], rtol=1e-4)
    np.testing.assert_allclose(sinex.maps(*case, "same"), -maps, rtol=1e-4)


def test_sinexc_is_the_mean_over_the_sets_that_hold_a_segment(case):
    """With beta 1/2 the others add half of what they do: 1200 + 300, 900, 600 + 600 and 900, in expectation."""
    maps = sinex.coalition_maps(*case, alpha=4000)
    expected = np.array([[1500, 900], [1200, 900]]) - 1800
    np.testing.assert_allclose(maps[0, ::2, ::2], expected / 4, rtol=0.1)
    with pytest.raises(ValueError, match="beta in"):
        sinex.coalition_maps(*case, beta=1.0)


def test_a_segment_of_no_set_is_taken_as_the_others(case):
    maps = sinex.coalition_maps(*case, alpha=1, beta=1e-9)
    assert np.isfinite(maps).all() and np.ptp(maps) == 0
