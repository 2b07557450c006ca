import numpy as np
import pytest

from fsad.explain.boxes import Box, box, crop


def test_the_largest_region_and_its_margin():
    heat = np.zeros((20, 30))
    heat[2, 2] = 1.0  # the strongest place, alone
    heat[8:12, 10:20] = 0.6
    heat = heat.repeat(10, 0).repeat(10, 1)
    assert box(heat, (200, 300), threshold=0.5, margin=0.0) == Box(100, 80, 200, 120)
    assert box(heat, (200, 300), threshold=0.5, margin=0.1) == Box(90, 76, 210, 124)
    assert box(heat, (200, 300), threshold=0.7, margin=0.0) == Box(20, 20, 30, 30)


def test_a_box_is_large_enough_to_be_read_back():
    heat = np.zeros((20, 30))
    heat[0, 29] = heat[10, 10] = 1.0
    heat[10, 11] = 1.0
    assert box(heat, (20, 30), margin=0.0) == Box(7, 6, 15, 14)  # 2 x 1 becomes 8 x 8 about its middle
    heat[10, 10:12] = 0
    assert box(heat, (20, 30), margin=0.0) == Box(22, 0, 30, 8)
    assert box(heat[:6], (6, 30), margin=0.0) == Box(22, 0, 30, 6)


def test_regions_that_touch_at_a_corner_are_one():
    heat = np.zeros((40, 40))
    heat[4:12, 4:12] = heat[12:20, 12:20] = 1
    assert box(heat, (40, 40), margin=0.0) == Box(4, 4, 20, 20)


def test_the_map_is_resized_to_the_picture():
    found = box(np.array([[0.0, 0.0], [0.0, 1.0]]), (100, 200), threshold=0.5, margin=0.0)
    assert found.right == 200 and found.bottom == 100 and 100 <= found.left < 160 and 50 <= found.top < 80


def test_a_box_stays_in_the_picture_and_a_zero_map_is_all_of_it():
    heat = np.zeros((50, 50))
    heat[:20, :20] = 1
    assert box(heat, (50, 50), margin=1.0) == Box(0, 0, 40, 40)
    assert box(np.zeros((3, 3)), (40, 60)) == Box(0, 0, 60, 40)


def test_crop():
    picture = np.arange(5 * 6 * 3).reshape(5, 6, 3)
    np.testing.assert_array_equal(crop(picture, Box(1, 2, 4, 5)), picture[2:5, 1:4])


@pytest.mark.parametrize("options", [{"threshold": 0}, {"threshold": 1.1}, {"margin": -1}])
def test_bad_rules_are_refused(options):
    with pytest.raises(ValueError, match="Expected"):
        box(np.ones((2, 2)), (4, 4), **options)
    with pytest.raises(ValueError, match="finite"):
        box(np.full((2, 2), np.nan), (4, 4))
