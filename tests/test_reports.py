import numpy as np
import pytest

from experiments import reports
from experiments.tables import Row
from fsad import images


class Finished:
    """A finished run whose record is written out here."""

    def __init__(self, row, scores, loaded="random", weights="imagenet"):
        self.row = row
        labels = [0, 0, 1, 1]
        self.record = {
            "data": "synthetic pictures, metal: 4 pictures (2 good, 1 cut, 1 hole), MVTec AD layout",
            "settings": {"data": "synthetic-metal", "backbone": row.key, "epochs": 3, "weights": weights},
            "weights_loaded": loaded,
            "pair_seconds": 0.03,
            "training_seconds": 10.0,
            "size_megabytes": 467.6,
            "calibrated": {"mean": 0.75, "min": 0.75, "first": 0.75},
            "test": {
                "label": labels,
                "kind": ["good", "good", "cut", "hole"],
                "group": [0, 1, 2, 3],
                **dict.fromkeys(("mean", "min", "first"), scores),
            },
        }

    def load(self):
        return self.record, {}


CUSTOM, VGG = Row("custom_cnn", "Custom CNN", {}, {}), Row("vgg19", "VGG19", {}, {})


def test_cells_by_hand():
    # Draw 1: one good picture above 0.5. Draw 2: perfect.
    runs = [Finished(CUSTOM, [0.1, 0.6, 0.7, 0.9]), Finished(CUSTOM, [0.1, 0.2, 0.7, 0.9])]
    results, _, _ = reports.scores(runs)
    cells = results["custom_cnn"].cells
    # Positive is "same": of draw 1, one of two good pictures is called same, and only it.
    assert cells["recall"]["mean"] == pytest.approx((0.5 + 1) / 2)
    assert cells["precision"]["mean"] == 1 and cells["auroc"]["mean"] == 1
    assert cells["accuracy"]["mean"] == pytest.approx((3 / 4 + 1) / 2)
    assert cells["accuracy"]["sd"] == pytest.approx(np.std([0.75, 1], ddof=1))
    low, high = cells["accuracy"]["interval"]
    assert 0.5 <= low <= 0.75 and high == 1
    assert results["custom_cnn"].notes == (
        "2 draws of the shots on synthetic-metal, 3 epochs, 4 test pictures a draw.",
    )


def test_what_is_not_defined_is_said():
    results, _, _ = reports.scores([Finished(CUSTOM, [0.6, 0.7, 0.8, 0.9])])
    assert results["custom_cnn"].cells["precision"] == {"mean": None, "sd": None, "interval": None}
    assert "Precision is not defined in 1 of 1 (nothing was called same)." in results["custom_cnn"].notes


def test_random_weights_are_footnoted_only_where_imagenet_was_asked_for():
    missing = "ImageNet weights could not be reached: this backbone started from random weights."
    scores = [0.1, 0.2, 0.7, 0.9]
    notes = [
        reports.costs([run])[0][run.row.key].notes
        for run in (Finished(CUSTOM, scores), Finished(VGG, scores), Finished(VGG, scores, weights="none"))
    ]
    assert [missing in n for n in notes] == [False, True, False]


def test_sections_and_figures():
    runs = [Finished(CUSTOM, [0.1, 0.6, 0.7, 0.9]), Finished(VGG, [0.9, 0.8, 0.2, 0.1])]
    _, sections, figures = reports.scores(runs)
    assert "| cut | 1.000 (n = 1) | 0.000 (n = 1) |" in sections
    assert "| Custom CNN | calibrated | 0.750 | 0.500 | 0.000 | 0.667 | 0.750 |" in sections
    assert "| Custom CNN | 0.5 | 0.500 | 0.000 | 0.500 | 0.800 | 0.750 |" in sections
    assert "Saliency" not in sections  # no run has maps
    assert set(figures) == {"confusion", "roc"}
    assert figures["roc"].axes[0].get_title() == "ROC on metal (synthetic)"
    assert [t.get_text() for t in figures["confusion"].axes[0].texts] == ["1\n50%", "1\n50%", "0\n0%", "2\n100%"]


def test_position_alone_is_the_mean_map_judged_as_the_maps_are(tmp_path):
    folder = tmp_path / "set"
    mask = np.zeros((10, 10), np.uint8)
    mask[:5] = 255
    for k in range(2):
        images.write(folder / f"test/cut/{k}.png", np.full((10, 10, 3), k, np.uint8))
        images.write(folder / f"ground_truth/cut/{k}_mask.png", mask)
    images.write(folder / "train/good/0.png", np.full((10, 10, 3), 9, np.uint8))
    run = Finished(CUSTOM, [0.1, 0.6, 0.7, 0.9])
    run.settings = {"data": str(folder)}
    upper = np.repeat([2.0, 1.0], 50).reshape(10, 10)
    record = {"test": {"path": ["test/cut/0.png", "test/cut/1.png"]}}
    # One map finds the upper half three times as strongly as the other points away from it.
    arrays = {"rows": np.array([0, 1]), "maps": np.stack([3 * upper, 3 - upper])}
    assert reports.position_auroc(run, record, arrays) == 1.0
    assert reports.position_auroc(run, record, {**arrays, "maps": np.stack([upper, 3 - upper])}) == 0.5
