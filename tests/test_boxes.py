import numpy as np
import pytest

from fsad.explain.boxes import Box, box, crop


def test_the_largest_region_and_its_margin():
    heat = np.zeros((20, 30))
    heat[2, 2] = 1.0  # the strongest place, alone
    heat[8:12, 10:20] = 0.6
    assert box(heat, (20, 30), threshold=0.5, margin=0.0) == Box(10, 8, 20, 12)
    assert box(heat, (20, 30), threshold=0.5, margin=0.1) == Box(9, 8, 21, 12)  # 10 % of 10, and of 4, rounded
    assert box(heat, (20, 30), threshold=0.7, margin=0.0) == Box(2, 2, 3, 3)


def test_regions_that_touch_at_a_corner_are_one():
    heat = np.zeros((10, 10))
    heat[1:3, 1:3] = heat[3:5, 3:5] = 1
    assert box(heat, (10, 10), margin=0.0) == Box(1, 1, 5, 5)


def test_the_map_is_resized_to_the_picture():
    found = box(np.array([[0.0, 0.0], [0.0, 1.0]]), (100, 200), threshold=0.5, margin=0.0)
    assert found.right == 200 and found.bottom == 100 and 100 <= found.left < 160 and 50 <= found.top < 80


def test_a_box_stays_in_the_picture_and_a_zero_map_is_all_of_it():
    heat = np.zeros((10, 10))
    heat[:4, :4] = 1
    assert box(heat, (10, 10), margin=1.0) == Box(0, 0, 8, 8)
    assert box(np.zeros((3, 3)), (40, 60)) == Box(0, 0, 60, 40)


def test_crop():
    picture = np.arange(5 * 6 * 3).reshape(5, 6, 3)
    np.testing.assert_array_equal(crop(picture, Box(1, 2, 4, 5)), picture[2:5, 1:4])


@pytest.mark.parametrize("options", [{"threshold": 0}, {"threshold": 1.1}, {"margin": -1}])
def test_bad_rules_are_refused(options):
    with pytest.raises(ValueError, match="Expected"):
        box(np.ones((2, 2)), (4, 4), **options)
