import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from experiments.runner import Run
from experiments.takimoto import run, tables
from experiments.takimoto.tables import KEYS, TABLES
from fsad import synthetic


def test_the_printed_cells_are_read_in_place():
    assert [len(TABLES[number].rows) for number in range(8, 14)] == [16, 16, 16, 16, 15, 15]
    rows = {number: {row.key: row for row in table.rows} for number, table in TABLES.items()}
    assert [*rows[13]["PBCL_1_13"].paper.values()] == ["0.9854", "0.843", "0.810", "0.925"]
    assert [*rows[10]["III_1.0_4"].paper.values()] == ["0.9393", "0.959", "0.980", "0.871"]
    assert rows[11]["III_1.5_7"].settings == {"position": 7, "branch_weight": 1.5}


def test_what_the_printed_accuracies_say_about_the_test_counts():
    """Mean of recall and specificity, or 100 normal images beside the abnormal ones: which fits most rows."""
    fits = []
    for number, table in TABLES.items():
        abnormal, equal, hundred = table.settings["test_per_class"], 0, 0
        for row in table.rows:
            accuracy, recall, specificity = (float(row.paper[key]) for key in KEYS[1:])
            equal += abs((recall + specificity) / 2 - accuracy) < 0.0016
            hundred += abs((100 * recall + abnormal * specificity) / (100 + abnormal) - accuracy) < 0.0016
        fits += [number] if hundred > equal else []
        assert max(equal, hundred) >= 13
    assert fits == [9, 10, 13]


def test_judgements_by_hand():
    references, labels = np.array([[0.0, 0], [1, 0], [5, 0]]), np.array([0, 0, 1])
    nearest, margins = run.nearest_class(np.array([[0.9, 0], [4.0, 0], [3.0, 0]]), references, labels)
    assert nearest.tolist() == [0, 1, 0] and margins == pytest.approx([0.1 - 4.1, 3 - 1, 2 - 2])
    assert run.centroid(np.array([[0.5, 2.0]]), references[:2]) == pytest.approx([2])
    joined = run.judgements(4.0)["both"]([np.ones((1, 2)), np.ones((1, 2))])
    assert joined.tolist() == [[1, 1, 2, 2]] and [*run.judgements(0.0)] == ["output_1"]
    assert tables._nearest(np.array([0, 0, 1, 1]), np.array([-1, 1, 1, 1.0]), 0) == [0.75, 0.5, 1.0]


def test_what_a_piece_adds_is_told_on_the_same_draws():
    """Method II ranks all four images right where method I ranks half of the pairs: on one draw; on the other, both."""
    assert [tables.baseline(key) for key in ("II_4", "III_1.5_7", "PBCL_2_13", "I", "CL_2")] == [
        "I", "II_7", "CL_13", None, None
    ]  # fmt: skip

    class Finished(Run):
        def load(self):
            nearest = {"nearest": [-1, -1, 1, 1], "centroid": self.settings["scores"]}
            test = {"label": [0, 0, 1, 1], "group": [0, 1, 2, 3], "output_1": nearest}
            return {"settings": self.settings, "test": test}, {}

    rows = {row.key: row for row in TABLES[11].rows}
    runs = [
        Finished(rows[key], {"seed": seed, "scores": scores}, None)
        for key, seed, scores in (
            ("I", 0, [1, 1, 1, 1]), ("I", 1, [1, 2, 3, 4]), ("II_4", 0, [1, 2, 3, 4]), ("II_4", 1, [1, 2, 3, 4])
        )
    ]  # fmt: skip
    text = tables._differences(tables.by_row(runs))
    assert "| II: attention | 4 | 0.250 ± 0.354 | 0.000 ± 0.000 |" in text and "| mean of 1 | 0.250 ± 0.354 |" in text
    assert tables._differences(tables.by_row(runs[:2])) == ""


def test_the_estimate_is_steps_times_the_time_of_one(monkeypatch):
    asked = []
    monkeypatch.setattr(run, "image_seconds", lambda *same: asked.append(same) or 0.1)
    settings = {**run.SETTINGS, "side": 96, "abnormal": 40, "epochs": 100, "precision": "float32"}
    assert run.estimate(settings) == pytest.approx(0.1 * 32 * 100 * 447)  # 7140 pairs, 16 per step
    assert run.estimate({**settings, "batching": "images"}) == pytest.approx(0.1 * 40 * 100 * 15)
    assert run.estimate({**settings, "side": 192}) == pytest.approx(4 * run.estimate(settings))
    assert set(asked) == {("vgg16", "float32")}


@pytest.mark.slow
def test_a_table_runs(tmp_path, capsys):
    """Selected rows, flags of its own, and the shape of the result."""
    folder = synthetic.write(tmp_path / "tiny", "metal", good=8, defective=2, size=64)
    options = [f"--data={folder}", "--table=8", "--rows=I,III_1.0_4,III_1.0_10", "--positions=10", "--draws=1",
               "--epochs=1", "--backbone=mobilenet", "--weights=none", "--side=32", "--normal=4", "--abnormal=3",
               "--batching=images", "--batch_size=6", "--learning_rate=1e-3", f"--out={tmp_path}",
               f"--cache={tmp_path / 'kept'}"]  # fmt: skip
    with flagsaver.flagsaver():
        flags.FLAGS(["test", *options])
        tables.main(None)
    page = (tmp_path / "takimoto_table8_tiny_trial.md").read_text()
    assert "| III: attention + ABL, w = 1.0, N = 4 [1] | 0.9486 / – |" in page and "[1] Not run." in page
    row = next(line for line in page.splitlines() if line.startswith("| III: attention + ABL, w = 1.0, N = 10"))
    assert 0 <= float(row.split(" / ")[1].split()[0]) <= 1
    assert "4 + 3 training images, 1 epochs, 6 images per step, Adam at 0.001" in page
    assert "|  | AUC, both | Accuracy, both | attention | mean map | margin |" in page
    assert "takimoto_table8_tiny_trial.md" in capsys.readouterr().out
