import numpy as np
import pytest

from experiments import reports
from experiments.tables import Row


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
            "saliency": {"pixel_auroc": 0.8, "pictures": 2, "without_mask": 1, "by_kind": {}},
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
    assert results["custom_cnn"].notes == ("2 draws of the shots, 3 epochs, 4 test pictures a draw.",)


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
    assert "| Custom CNN | 0.800 | 2 | 1 |" in sections
    assert set(figures) == {"confusion", "roc"}
    assert figures["roc"].axes[0].get_title() == "ROC on metal (synthetic)"
    assert [t.get_text() for t in figures["confusion"].axes[0].texts] == ["1\n50%", "1\n50%", "0\n0%", "2\n100%"]
