import numpy as np
import pytest

from experiments import data
from experiments.page import Row
from experiments.runner import Run
from experiments.senarathna import leaks, run
from fsad.images import write_image


class Finished(Run):
    def load(self):
        return self.settings, {}


def finished(key, record):
    row = next(row for row in leaks.TABLE.rows if row.key == key)
    return Finished(Row(key, row.title, {}), record, None)


def test_each_row_reads_the_test_it_is_about():
    def test(scores, by_colour=(0.1, 0.2, 0.3, 0.4)):
        return {"label": [0, 0, 1, 1], "group": [0, 1, 2, 3], "mean": scores, "colours": list(by_colour)}

    record = {
        "test": test([0.4, 0.3, 0.2, 0.1]),
        "leaks": {"training images": test([0.1, 0.2, 0.3, 0.4]), "other photographs": {**test([1, 1, 1, 1])}},
    }
    one_class = {**record["leaks"], "other photographs": {**test([1, 2, 3, 4]), "label": [0, 0, 0, 0]}}
    keys = ("tiles_honest", "tiles_others", "tiles_training")
    by_key, _, _ = leaks.results([finished(key, record) for key in keys])
    assert [by_key[key].cells["auroc"]["mean"] for key in keys] == [0, 0.5, 1]
    assert by_key["tiles_honest"].cells["colours"]["mean"] == 1
    by_key, _, _ = leaks.results([finished("figures_others", {**record, "leaks": one_class})])
    assert by_key["figures_others"].cells == {} and leaks.NOTHING in by_key["figures_others"].notes


@pytest.mark.slow
def test_a_run_with_leaks_records_them(tmp_path, tiny_recipe, monkeypatch, rng):
    """Two photographs of each part; the defective ones are dark all over, which six colour numbers see."""
    for k in range(12):
        part = rng.integers(100, 140, (32, 32, 3)) - 60 * (k >= 6)
        for shot in range(2):
            image = np.clip(part + 20 * shot, 0, 255).astype(np.uint8)
            write_image(tmp_path / ("defect" if k >= 6 else "good") / f"part{k}_{shot}.png", image)
    monkeypatch.setattr(run.senarathna, "build", lambda **_: tiny_recipe())
    settings = {**run.SETTINGS, "data": str(tmp_path), "anchors": 2, "good": 2, "defective": 2, "epochs": 1, "seed": 0,
                "precision": "float32", **data.DEFAULTS, "group_pattern": "part[0-9]+"}  # fmt: skip
    settings["backbone"] = "tiny"  # no saliency
    record, _ = run.train(settings)
    others = record["leaks"]["other photographs"]
    assert len(others["label"]) == 6 and not set(others["group"]) & set(record["test"]["group"])
    assert sorted(record["leaks"]["training images"]["label"]) == [0, 0, 1, 1]
    bad, good = (np.array(others["colours"])[np.array(others["label"]) == label] for label in (1, 0))
    assert bad.min() > good.max()
    split, _ = run.train({**settings, "split_pairs": True})
    assert len(split["test"]["label"]) == len(split["test"]["mean"]) == round(0.2 * 2 * 2 * 8)
