import numpy as np
import pytest

from experiments import study_few, study_precision
from experiments.tables import Row
from fsad import datasets, images, splits


class Finished:
    def __init__(self, record, row=study_few.TABLE.rows[0]):
        self.row, self.record = row, record

    def load(self):
        return self.record, {}


def test_a_variant_from_pictures_to_cells(parts):
    settings = {**study_few.TABLE.settings, "data": str(parts), "anchors": 2, "good": 14, "defective": 4, "seed": 0}
    settings |= {"weights": "none", "test_per_class": 2}
    record, _ = study_few.train({**settings, "backbone": "filter_bank"})
    assert list(record["scores"]) == ["1", "2", "4", "8", "16"]
    assert all(len(scores) == 4 and np.isfinite(scores).all() for scores in record["scores"].values())
    assert 0 <= record["aupro"] <= 1 and 0 <= record["pixel_auroc"] <= 1 and record["weights_loaded"] == "fixed"
    results, sections, _ = study_few.report([Finished(record, Row("filter_bank", "filters", {}, {}))])
    assert 0 <= results["filter_bank"].cells["auroc"]["mean"] <= 1 and "by defect type" in sections
    linear, _ = study_few.train({**settings, "method": "linear"})
    assert np.isfinite(linear["scores"]["16"]).all()


def test_benign_and_malignant_are_good_and_defective(tmp_path, rng):
    for name in ("benign", "malignant"):
        for k in range(6):
            picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
            images.write(tmp_path / name / f"{k}.png", picture)
    found = study_few._labelled(datasets.with_groups(datasets.load(tmp_path)))
    assert found.counts() == {"good": 6, "malignant": 6}
    shots = splits.sample_shots(found, rng, anchors=1, good=1, defective=1)
    assert {s.label for s in shots.test} == {0, 1} and shots.defective[0].kind == "malignant"


def test_sections_by_hand():
    """Two good, two defective pictures; with one reference picture one of them is mistaken."""
    test = {"label": [0, 0, 1, 1], "kind": ["good", "good", "cut", "hole"], "group": [0, 1, 2, 3]}
    scores = {str(n): [0.1, 0.2, 0.3, 0.4] for n in study_few.GOOD} | {"1": [0.1, 0.35, 0.3, 0.4]}
    record = {"test": test, "scores": scores, "thresholds": {"0": 0.35, "1": 0.25, "4": 0.25, "8": 0.25}}
    results, sections, _ = study_few.report([Finished({**record, "weights_loaded": "imagenet", "aupro": None})])
    assert results["patches"].cells["auroc"]["mean"] == 1 and "aupro" not in results["patches"].cells
    assert "| 1 | 0.750 | 0.800 |" in sections and "| 16 | 1.000 | 1.000 |" in sections
    assert "| 0 | 0.667 | 0.500 | 1.000 |" in sections and "| 8 | 1.000 | 1.000 | 1.000 |" in sections


def test_precision_study_compares_runtimes_on_the_same_scores():
    test = {"label": [0, 0, 1, 1]}
    scores = {"tensorflow": [0.1, 0.2, 0.3, 0.4], "openvino bfloat16": [0.1, 0.25, 0.2, 0.4]}
    runs = [Finished({"test": test, "scores": scores}, study_precision.TABLE.rows[0])]
    cells = study_precision.report(runs)[0]["float32"].cells
    assert cells["auroc_tensorflow"]["mean"] == 1 and cells["auroc_openvino_bfloat16"]["mean"] == 0.75
    assert cells["difference_openvino_bfloat16"]["mean"] == pytest.approx(0.1)
    assert cells["auroc_openvino"]["mean"] is None  # not installed there
