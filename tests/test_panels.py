import numpy as np
import pytest

from fsad.answers import Answer
from fsad.explain import overlay, panels


def test_a_panel_of_methods_with_their_scores_and_answers(tmp_path):
    image, reference = np.full((40, 60, 3), 90, np.uint8), np.full((20, 30, 3), 120, np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[:20, :30] = True
    maps = {"right": np.array([[1.0, 0], [0, 0]]), "wrong": np.array([[0.0, 1], [1, 1]]), "below_zero": -np.eye(2)}
    answers = [(Answer((0.25, 0.25), 4, 0, (0.75, 0.5), 0.3), reference)]
    figure = panels.compare(image, maps, "synthetic", mask, answers)
    overlay.save(figure, tmp_path / "panel.png", dpi=40)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:2] == ["image, known defect", "reference 5, distance 0.3"]
    assert float(titles[4].removeprefix("right ")) > 0.9 and float(titles[5].removeprefix("wrong ")) < 0.1
    assert titles[6].startswith("below zero ") and len(figure.axes) == 8 and len(figure.artists) == 2
    assert (tmp_path / "panel.png").stat().st_size > 1000


def test_without_a_mask_there_is_no_score():
    figure = panels.compare(np.zeros((8, 8, 3), np.uint8), {"a": np.eye(2)}, "synthetic")
    assert [axis.get_title() for axis in figure.axes if axis.images] == ["image", "a"]
    with pytest.raises(ValueError, match="at least one map"):
        panels.compare(np.zeros((8, 8, 3), np.uint8), {}, "")
