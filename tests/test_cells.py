import numpy as np

from fsad import cells


def test_tiles_overlap_by_half_and_reach_the_border():
    assert cells.tiles((5, 4), (2, 4)).tolist() == [list(range(4 * k, 4 * k + 8)) for k in range(4)]


def test_smoothing_keeps_what_is_even():
    matrix = cells.gaussian(5, 1.0)
    assert np.allclose(matrix.sum(1), 1) and np.allclose(matrix[2], matrix[2, ::-1])
    assert np.array_equal(cells.gaussian(3, 0), np.eye(3))
