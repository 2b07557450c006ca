import numpy as np
import pytest

from fsad.explain import overlay
from fsad.images import read_image


def test_normalize():
    assert overlay.normalize(np.array([[0.0, 1.0], [2.0, 4.0]]), percentile=100).tolist() == [[0, 0.25], [0.5, 1]]
    assert (overlay.normalize(np.zeros((2, 2))) == 0).all()


def test_the_image_shows_in_gray_where_the_map_is_zero(rng):
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    anomaly_map = np.zeros((20, 30))
    anomaly_map[:, :10] = 1
    blended = overlay.blend(image, anomaly_map)
    assert blended.shape == image.shape
    assert np.ptp(blended[:, 15:].astype(int), axis=-1).max() == 0
    assert np.ptp(blended[:, :5].astype(int), axis=-1).min() > 20


def test_equal_panels_are_written_as_equal_bytes(tmp_path, rng):
    def example(mask):
        return {
            "image": np.full((40, 40, 3), 90, np.uint8),
            "anomaly_map": np.eye(10),
            "title": "cut: score 0.71, different",
            "mask": mask,
        }

    for name in ("a", "b"):
        figure = overlay.panel([example(np.eye(40) > 0), example(None)], title="synthetic")
        overlay.save(figure, tmp_path / f"{name}.png", dpi=50)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert read_image(tmp_path / "a.png").std() > 10
    assert len(overlay.panel([example(None)]).axes) == 3 + 1  # no column for masks that are absent
    both = {**example(np.eye(40) > 0), "reference": np.zeros((9, 9, 3), np.uint8)}
    assert len(overlay.panel([both]).axes) == 5 + 1


def test_normalize_to_a_given_top():
    assert overlay.normalize(np.array([0.0, 0.2, 3.0]), top=0.4).tolist() == [0, 0.5, 1]


def test_a_close_up_shows_the_place_where_the_map_is_highest():
    image = np.arange(80 * 160).reshape(80, 160, 1).repeat(3, -1)
    anomaly_map = np.zeros((8, 16))
    anomaly_map[2, 5] = 1
    assert overlay.highest(anomaly_map, image) == (55, 25)
    assert (overlay.closeup(image, (55, 25)) == image[20:30, 45:65]).all()
    assert (overlay.closeup(image, (159, 0)) == image[:10, 140:]).all()


def test_rejects_an_empty_list():
    with pytest.raises(ValueError, match="at least one"):
        overlay.panel([])
