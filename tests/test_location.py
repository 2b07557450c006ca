import numpy as np

from experiments.livieris import location
from fsad.explain.boxes import Box


def test_overlap_by_hand():
    assert location.overlap(Box(0, 0, 4, 4), Box(2, 0, 6, 4)) == 8 / 24
    assert location.overlap(Box(0, 0, 2, 2), Box(3, 3, 5, 5)) == 0
    mask = np.zeros((6, 8), bool)
    mask[1:3, 2:7] = True
    assert location.box_around(mask) == Box(2, 1, 7, 3)
