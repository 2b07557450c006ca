import numpy as np
import pytest

from experiments import data
from experiments.ablations import few
from experiments.page import Row


class Finished:
    """A finished run whose record is known."""

    def __init__(self, record, row=few.TABLE.rows[0]):
        self.row, self.record = row, record

    def load(self):
        return self.record, {}


@pytest.mark.slow
def test_a_variant_from_images_to_cells(parts):
    settings = {**few.TABLE.settings, "data": str(parts), "anchors": 2, "good": 14, "defective": 4, "seed": 0}
    settings |= data.known(str(parts))
    settings |= {"weights": "none", "test_per_class": 2, "backbone": "filter_bank"}
    record, _ = few.train(settings)
    assert list(record["scores"]) == list(record["thresholds"]) == ["0", "1", "2", "4", "8"]
    assert list(record["scores_by_good"]) == ["1", "2", "4", "8"] and record["size"] == [320, 320]
    every = [*record["scores"].values(), *record["scores_by_good"].values()]
    assert all(len(scores) == 4 and np.isfinite(scores).all() for scores in every)
    assert 0 <= record["aupro"] <= 1 and 0 <= record["pixel_auroc"] <= 1 and record["weights_loaded"] == "fixed"
    results, sections, _ = few.report([Finished(record, Row("filter_bank", "filters", {}))])
    assert 0 <= results["filter_bank"].cells["auroc"]["mean"] <= 1 and "by defect type" in sections


def test_sections_by_hand():
    """Two good, two defective images; with one reference image one of them is mistaken, and with no defective image the
    threshold is too high."""
    test = {"label": [0, 0, 1, 1], "kind": ["good", "good", "cut", "hole"], "group": [0, 1, 2, 3]}
    scores = {str(d): [0.1, 0.2, 0.3, 0.4] for d in few.DEFECTIVE}
    by_good = {"1": [0.1, 0.35, 0.3, 0.4]}
    limits = {"0": 0.35, "1": 0.15, "2": 0.25, "4": 0.25, "8": 0.25}
    record = {"test": test, "scores": scores, "scores_by_good": by_good, "thresholds": limits, "size": [32, 48]}
    results, sections, _ = few.report([Finished({**record, "weights_loaded": "imagenet", "aupro": None})])
    assert results["patches"].cells["auroc"]["mean"] == 1 and "aupro" not in results["patches"].cells
    assert "48 x 32" in results["patches"].notes[0]
    assert "| 1 | 0.750 | 0.800 |" in sections and "| 16 | 1.000 | 1.000 |" in sections
    assert "| 0 | 1.000 | 0.667 | 0.500 | 1.000 | 0.000 | 0.000 |" in sections
    assert "| 1 | 1.000 | 0.800 | 1.000 | 0.667 | 0.500 | 0.500 |" in sections
