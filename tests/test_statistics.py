import numpy as np

from experiments import statistics
from experiments.page import Row


def test_a_cell_is_mean_and_spread_of_what_is_defined():
    assert statistics.spread([1.0, 2.0, float("nan"), None]) == {"mean": 1.5, "sd": 0.5**0.5, "interval": None}
    assert statistics.spread([0.5], [0.25, 1]) == {"mean": 0.5, "sd": None, "interval": [0.25, 1.0]}
    assert statistics.spread([float("nan")], [float("nan")] * 2) == {"mean": None, "sd": None, "interval": None}
    assert statistics.plus_minus([1.0, 3.0]) == "2.000 ± 1.414" and statistics.plus_minus([]) == "–"


def test_cells_of_two_draws_by_hand():
    test = {"label": [0, 0, 1, 1], "group": [0, 1, 2, 3]}
    draws = [statistics.draw(test, scores, 0.5) for scores in ([0.1, 0.6, 0.7, 0.9], [0.1, 0.2, 0.7, 0.9])]

    def accuracy(labels, scores, threshold):
        return [np.mean((scores > threshold) == labels)]

    cells, values = statistics.cells(accuracy, ("accuracy",), draws)
    assert values.tolist() == [[0.75], [1.0]] and cells["accuracy"]["mean"] == 0.875
    low, high = cells["accuracy"]["interval"]
    assert 0.5 <= low <= 0.75 and high == 1


def test_sections_group_the_draws_of_a_line():
    draws = [{"": "A", "way": "x", "auroc": 1.0}, {"": "A", "way": "y", "auroc": None},
             {"": "A", "way": "x", "auroc": 0.0}]  # fmt: skip
    section = statistics.section("Title", "Text.", draws, names=2)
    assert section.startswith("## Title\n\nText.\n\n|  | way | auroc |\n| --- | --- | --- |\n")
    assert section.endswith("| A | x | 0.500 ± 0.707 |\n| A | y | – |") and statistics.section("T", "t", []) == ""


def test_defect_types_are_each_ranked_against_all_good_images():
    test = {"label": [0, 0, 1, 1], "kind": ["good", "good", "cut", "hole"]}
    section = statistics.by_kind([(Row("a", "A", {}), [(test, [0.1, 0.6, 0.7, 0.3])])])
    assert "|  | cut | hole |" in section and "| A | 1.000 | 0.500 |" in section


def test_localisation_compares_maps_with_their_mean():
    upper = np.repeat([2.0, 1.0], 50).reshape(10, 10)
    maps = np.stack([3 * upper, 3 - upper, upper])  # two of the three point to the upper half

    def area(one, k):
        return None if k == 2 else float(one[0, 0] > one[-1, 0])

    assert statistics.localisation(maps, area) == {"pixel_auroc": 0.5, "mean_map": 1.0, "images": 2}
    assert statistics.localisation(maps, lambda one, k: None) is None
