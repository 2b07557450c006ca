import numpy as np
import pytest

from fsad.explain.boxes import Box, bounding_box, crop


def test_the_largest_region_and_its_margin():
    anomaly_map = np.zeros((20, 30))
    anomaly_map[2, 2] = 1.0  # the maximum, on its own
    anomaly_map[8:12, 10:20] = 0.6
    anomaly_map = anomaly_map.repeat(10, 0).repeat(10, 1)
    assert bounding_box(anomaly_map, (200, 300), threshold=0.5, margin=0.0) == Box(100, 80, 200, 120)
    assert bounding_box(anomaly_map, (200, 300), threshold=0.5, margin=0.1) == Box(90, 76, 210, 124)
    assert bounding_box(anomaly_map, (200, 300), threshold=0.7, margin=0.0) == Box(20, 20, 30, 30)


def test_a_box_has_the_minimum_side_of_a_readable_image():
    anomaly_map = np.zeros((20, 30))
    anomaly_map[0, 29] = anomaly_map[10, 10] = 1.0
    anomaly_map[10, 11] = 1.0
    assert bounding_box(anomaly_map, (20, 30), margin=0.0) == Box(7, 6, 15, 14)  # 2 x 1 grows to 8 x 8 about its middle
    anomaly_map[10, 10:12] = 0
    assert bounding_box(anomaly_map, (20, 30), margin=0.0) == Box(22, 0, 30, 8)
    assert bounding_box(anomaly_map[:6], (6, 30), margin=0.0) == Box(22, 0, 30, 6)


def test_regions_that_touch_at_a_corner_are_connected():
    anomaly_map = np.zeros((40, 40))
    anomaly_map[4:12, 4:12] = anomaly_map[12:20, 12:20] = 1
    assert bounding_box(anomaly_map, (40, 40), margin=0.0) == Box(4, 4, 20, 20)


def test_the_map_is_resized_to_the_image():
    box = bounding_box(np.array([[0.0, 0.0], [0.0, 1.0]]), (100, 200), threshold=0.5, margin=0.0)
    assert box.right == 200 and box.bottom == 100 and 100 <= box.left < 160 and 50 <= box.top < 80


def test_a_box_stays_inside_the_image_and_a_zero_map_gives_the_whole_image():
    anomaly_map = np.zeros((50, 50))
    anomaly_map[:20, :20] = 1
    assert bounding_box(anomaly_map, (50, 50), margin=1.0) == Box(0, 0, 40, 40)
    assert bounding_box(np.zeros((3, 3)), (40, 60)) == Box(0, 0, 60, 40)


def test_crop():
    image = np.arange(5 * 6 * 3).reshape(5, 6, 3)
    np.testing.assert_array_equal(crop(image, Box(1, 2, 4, 5)), image[2:5, 1:4])


@pytest.mark.parametrize("options", [{"threshold": 0}, {"threshold": 1.1}, {"margin": -1}])
def test_rejects_bad_arguments(options):
    with pytest.raises(ValueError, match="Expected"):
        bounding_box(np.ones((2, 2)), (4, 4), **options)
    with pytest.raises(ValueError, match="finite"):
        bounding_box(np.full((2, 2), np.nan), (4, 4))
