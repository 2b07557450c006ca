import numpy as np
import pytest

from fsad import images
from fsad.explain import overlay


def test_normalize():
    assert overlay.normalize(np.array([[0.0, 1.0], [2.0, 4.0]]), percentile=100).tolist() == [[0, 0.25], [0.5, 1]]
    assert (overlay.normalize(np.zeros((2, 2))) == 0).all()


def test_where_the_map_is_zero_the_picture_shows_in_gray(rng):
    picture = rng.integers(0, 256, (20, 30, 3), np.uint8)
    heat = np.zeros((20, 30))
    heat[:, :10] = 1
    shown = overlay.blend(picture, heat)
    assert shown.shape == picture.shape
    assert np.ptp(shown[:, 15:].astype(int), axis=-1).max() == 0
    assert np.ptp(shown[:, :5].astype(int), axis=-1).min() > 20


def test_panel_is_written_and_the_same_figure_gives_the_same_bytes(tmp_path, rng):
    def example(mask):
        return {
            "picture": np.full((40, 40, 3), 90, np.uint8),
            "heat": np.eye(10),
            "title": "cut: score 0.71, different",
            "mask": mask,
        }

    for name in ("a", "b"):
        figure = overlay.panel([example(np.eye(40) > 0), example(None)], title="synthetic")
        overlay.save(figure, tmp_path / f"{name}.png", dpi=50)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert images.read(tmp_path / "a.png").std() > 10
    assert len(overlay.panel([example(None)]).axes) == 3 + 1  # no column for masks that are not there
    both = {**example(np.eye(40) > 0), "reference": np.zeros((9, 9, 3), np.uint8)}
    assert len(overlay.panel([both]).axes) == 5 + 1


def test_maps_can_share_one_scale():
    assert overlay.normalize(np.array([0.0, 0.2, 3.0]), top=0.4).tolist() == [0, 0.5, 1]


def test_no_example_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        overlay.panel([])
