import numpy as np
import pytest

from fsad import answers
from fsad.augment import VIEWS


def test_a_row_of_numbers():
    """Patch 1 of reference 6, where each of 8 has 3 patches: the third view of the second image."""
    places = np.zeros((8, 3, 2), np.float32)
    places[6, 1] = 0.5, 0.125
    answer = answers.of(np.array([0.25, 0.75, 3 * 6 + 1, 0.03], np.float32), places, views=4)
    assert answer[:4] == ((0.25, 0.75), 1, 2, (0.5, 0.125)) and answer.distance == pytest.approx(0.03)


@pytest.mark.parametrize("views", ["none", "mirrored", "rotated"])
def test_a_place_of_a_view_is_found_in_the_image_itself(views):
    """A view of an image whose colours are its coordinates says where each of its places was taken."""
    height, width = 60, 90
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    own = np.dstack([x / width, y / height])[None]
    for number, view in enumerate(VIEWS[views]):
        there = view(own)[0]
        for i, j in ((30, 45), (20, 40), (41, 60)):
            at = ((j + 0.5) / width, (i + 0.5) / height)
            answer = answers.Answer((0, 0), 0, number, at, 0.0)
            assert answers.as_taken(answer, len(VIEWS[views]), (height, width)) == pytest.approx(there[i, j], abs=0.01)
