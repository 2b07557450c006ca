import json

import cv2
import numpy as np
import pytest

from fsad import regions


@pytest.fixture
def anomaly_map():
    values = np.zeros((10, 20), np.float32)
    values[2:4, 3:6] = 5  # 2 x 3 cells
    values[7:8, 15:17] = 3
    return values


def test_regions_by_hand(anomaly_map):
    first, second = regions.find(anomaly_map, (10, 20), 1.0)  # one pixel per cell
    assert first.box == (3, 2, 3, 2) and first.area == 6 and first.peak == 5 and first.severity == 4
    assert second.box == (15, 7, 2, 1) and second.area == 2 and second.peak == 3
    assert set(first.contour) == {(3, 2), (5, 2), (5, 3), (3, 3)}
    assert regions.find(anomaly_map, (10, 20), 1.0, min_area=3) == (first,)
    assert regions.find(anomaly_map, (10, 20), 5.0) == ()


def test_a_large_image_has_regions_in_its_own_pixels(anomaly_map):
    (first, _) = regions.find(anomaly_map, (2000, 4000), 2.5)  # 200 pixels per cell
    left, top, width, height = first.box
    assert abs(left - 600) < 120 and abs(top - 400) < 120 and 400 < width < 800 and 250 < height < 600
    assert abs(first.area - 600 * 400) < 0.4 * 600 * 400


def test_the_threshold_of_maps_is_the_largest_value_of_sixteen_good_ones(rng):
    maps = rng.uniform(0, 1, (16, 4, 4))
    assert regions.limit(maps) == pytest.approx(maps.max())
    # 99 support 5 %: the 95th of 99.
    maps = rng.uniform(0, 1, (99, 4, 4))
    assert regions.limit(maps) == pytest.approx(np.sort(maps.max((1, 2)))[94])


def test_coco_by_hand(anomaly_map, tmp_path):
    coco = regions.Coco()
    coco.add("good.png", (10, 20), ())
    coco.add("bad.png", (10, 20), regions.find(anomaly_map, (10, 20), 4.0))
    coco.write(tmp_path / "regions.json")
    content = json.loads((tmp_path / "regions.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["good.png", "bad.png"]
    (one,) = content["annotations"]
    assert one["image_id"] == 2 and one["bbox"] == [3, 2, 3, 2] and one["area"] == 6 and one["category_id"] == 1
    assert len(one["segmentation"][0]) == 8 and content["categories"] == [{"id": 1, "name": "defect"}]


def test_a_map_at_the_size_of_its_image(anomaly_map, tmp_path):
    regions.write_map(tmp_path / "map.png", anomaly_map, (20, 40), (1.0, 5.0))
    written = cv2.imread(str(tmp_path / "map.png"), cv2.IMREAD_UNCHANGED)
    assert written.shape == (20, 40) and written.dtype == np.uint16
    assert written[5, 8] == 65535 and written[0, 0] == 0
