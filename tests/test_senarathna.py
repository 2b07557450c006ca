import dataclasses
import json

import cv2
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from experiments import data, figures, runner
from experiments.page import Row
from experiments.runner import Run
from experiments.senarathna import figures as paper_figures
from experiments.senarathna import report, run, table1, table3
from fsad import backbones, metrics, synthetic
from fsad.images import ImageError, write_image

SMALL = {"anchors": 1, "good": 1, "defective": 1, "epochs": 1}


@pytest.fixture
def small_cnn(monkeypatch):
    """At 60 pixels the custom CNN has a tenth of its weights."""
    monkeypatch.setitem(backbones.SPECS, "custom_cnn", dataclasses.replace(backbones.SPECS["custom_cnn"], side=60))


def easy_set(folder):
    """Synthetic leather; the defective pieces have a dark disc that nobody overlooks."""
    for k in range(60):
        rng = np.random.default_rng([7, k])
        image, _ = synthetic.draw("leather", "good", rng, size=128)
        if k >= 34:
            x, y = rng.integers(25, 103, 2)
            cv2.circle(image, (int(x), int(y)), int(rng.integers(11, 20)), (25, 18, 12), -1)
        write_image(folder / ("defect" if k >= 34 else "good") / f"{k}.png", image)
    return {**run.SETTINGS, "data": str(folder), "precision": "float32", "seed": 0, **data.DEFAULTS}


@pytest.mark.slow
def test_a_table_is_the_same_from_the_same_seed(tmp_path, small_cnn):
    folder = synthetic.write(tmp_path / "tiny", "metal", good=12, defective=1, size=64)
    table = dataclasses.replace(table1.TABLE, settings={**table1.TABLE.settings, **SMALL})
    pages = []
    for name in ("one", "two"):
        arguments = [f"--data={folder}", "--rows=custom_cnn", "--draws=1", "--epochs=1", f"--out={tmp_path}/{name}"]
        with flagsaver.flagsaver():
            flags.FLAGS(["test", *arguments, f"--cache={tmp_path}/runs_{name}"])
            runner.remake(table, run.train, report.scores, data.check_shots)
        pages.append((tmp_path / name / "senarathna_table1_tiny_trial.md").read_text().replace(f"/{name}", ""))
    assert pages[0].split("Data:")[1] == pages[1].split("Data:")[1] and "0.985 / 0." in pages[0]
    assert "## Saliency against the defect masks" in pages[0] and "| VGG19 [2,3] | 98.63% / – |" in pages[0]
    written = {path.name.removeprefix("senarathna_table1_tiny_trial") for path in (tmp_path / "one").iterdir()}
    assert written == {".md", ".json", "_confusion.png", "_roc.png"}


@pytest.mark.slow
def test_a_run_records_what_a_table_needs(tmp_path, small_cnn):
    losses = []
    record, arrays = run.train({**easy_set(tmp_path), **SMALL}, losses.append)
    json.dumps(record)
    assert record["losses"] == pytest.approx(losses) and record["weights_loaded"] == "random"
    assert record["data"].endswith("60 images of 60 distinct parts (26 defect, 34 good), good/defect layout")
    test, support = record["test"], {path for paths in record["support"].values() for path in paths}
    assert sum(test["label"]) == 25 and len(test["label"]) == 50
    assert len(support) == 3 and not support & set(test["path"])
    assert record["saliency"] is None  # this layout has no masks
    assert arrays["maps"].shape == (25, 60, 60) and np.array(test["label"])[arrays["rows"]].all()


def test_a_bad_mask_is_found_before_the_training(tmp_path):
    folder = synthetic.write(tmp_path / "set", "metal", good=8, defective=1, size=64)
    for mask in folder.rglob("*_mask.png"):
        mask.write_bytes(b"")
    losses, settings = [], {**run.SETTINGS, "precision": "float32", "seed": 0, **data.DEFAULTS, **SMALL}
    with pytest.raises(ImageError, match=r"_mask\.png"):
        run.train({**settings, "data": str(folder)}, losses.append)
    assert losses == []


@pytest.mark.slow
def test_the_paper_s_network_finds_what_is_plain_to_see(tmp_path):
    record, _ = run.train({**easy_set(tmp_path), "epochs": 15})
    assert metrics.auroc(record["test"]["label"], record["test"]["mean"]) > 0.95


class Finished(Run):
    """A finished run whose record is written out here."""

    def load(self):
        test = {"label": [0, 0, 1, 1], "kind": ["good", "good", "cut", "hole"], "group": [0, 1, 2, 3]}
        return {
            "data": "synthetic images, metal: 4 images (2 good, 1 cut, 1 hole), MVTec AD layout",
            "settings": {"data": "synthetic-metal", "epochs": 3},
            "pair_seconds": 0.03,
            "training_seconds": 10.0,
            "size_megabytes": 467.6,
            "calibrated": {"mean": 0.75},
            "test": {**test, **dict.fromkeys(("mean", "min", "first", "colours"), self.settings["scores"])},
        }, {}


def finished(*draws, title="Custom CNN"):
    return [Finished(Row(title, title, {}), {"scores": scores}, None) for scores in draws]


def test_cells_by_hand():
    # Draw 1: one good image above 0.5. Draw 2: perfect.
    results, _, _ = report.scores(finished([0.1, 0.6, 0.7, 0.9], [0.1, 0.2, 0.7, 0.9]))
    cells = {key: cell["mean"] for key, cell in results["Custom CNN"].cells.items()}
    # Positive is "same": of draw 1, one of two good images is called same, and only it.
    assert cells["recall"] == 0.75 and cells["precision"] == cells["auroc"] == 1 and cells["accuracy"] == 0.875
    assert cells["latency"] == 0.03 and cells["size"] == 467.6
    (note,) = results["Custom CNN"].notes
    assert note == "2 draws of the shots on synthetic-metal, 3 epochs, 4 test images per draw."


def test_what_is_undefined_is_said():
    results, _, _ = report.scores(finished([0.6, 0.7, 0.8, 0.9]))
    assert results["Custom CNN"].cells["precision"] == {"mean": None, "sd": None, "interval": None}
    assert "Precision is undefined in 1 of 1 (nothing was called same)." in results["Custom CNN"].notes


def test_sections_and_figures():
    runs = finished([0.1, 0.6, 0.7, 0.9]) + finished([0.9, 0.8, 0.2, 0.1], title="VGG19")
    _, sections, drawn = report.scores(runs)
    assert "| Custom CNN | 1.000 | 1.000 |\n| VGG19 | 0.000 | 0.000 |" in sections  # by defect type
    assert "| Custom CNN | calibrated | 0.750 | 0.500 | 0.000 | 0.667 | 0.750 |" in sections
    assert "| Custom CNN | 0.5 | 0.500 | 0.000 | 0.500 | 0.800 | 0.750 |" in sections
    # Verdicts 0 1 1 1 of labels 0 0 1 1: precision 1 and recall 1/2 for same, 2/3 and 1 for defective.
    assert "| Custom CNN | same | 1.000 | 0.500 | 0.667 | 1.000 | 1.000 |" in sections
    assert "| Custom CNN | defective | 0.667 | 1.000 | 0.800 | 1.000 | 1.000 |" in sections
    assert "Saliency" not in sections  # no run has maps
    assert [text.get_text() for text in drawn["confusion"].axes[0].texts] == ["1", "1", "0", "2"]


def test_three_rows_of_table_1_have_precision_and_recall_swapped():
    """Of VGG19 the counts TP 72, FP 48, FN 1, TN 25 give every printed figure, precision and recall swapped."""
    labels, same = np.repeat([0, 1], 73), np.r_[np.ones(72), np.zeros(1), np.ones(48), np.zeros(25)]
    precision, recall, f1, accuracy = run.rates(labels, 1 - same, 0.5)
    printed = table1.TABLE.rows[1].paper
    assert (f"{recall:.2%}", f"{precision:.0%}") == (printed["precision"], printed["recall"])
    assert (f"{f1:.2f}", f"{accuracy:.2%}") == (printed["f1"], printed["accuracy"])


def test_a_panel_shows_one_image_of_each_defect_type(tmp_path):
    folder = synthetic.write(tmp_path / "synthetic-tiny", "tile", good=4, defective=1, size=64)
    paths = sorted(path.relative_to(folder).as_posix() for path in (folder / "test").rglob("*.png"))
    kinds = [path.split("/")[1] for path in paths]
    rows = [k for k, kind in enumerate(kinds) if kind != "good"]

    class WithMaps(Run):
        def load(self):
            test = {"path": paths, "kind": kinds, "mean": np.linspace(0, 1, len(paths)).tolist()}
            saliency = {"pixel_auroc": 0.71, "images": 7}
            return {"test": test, "saliency": saliency}, {"rows": np.array(rows), "maps": np.ones((len(rows), 10, 10))}

    of_marble = WithMaps(table3.TABLE.rows[1], {"data": str(folder)}, tmp_path)
    ((name, figure),) = paper_figures.draw(of_marble).items()
    assert name == f"senarathna_figure4{figures.suffix(of_marble, table3.TABLE)}" == "senarathna_figure4_synthetic-tiny"
    assert figure.get_suptitle() == "Saliency on synthetic-tiny (synthetic images); pixel AUROC 0.71 over 7 images"
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.get_title(loc="left")]
    assert [title.split(":")[0] for title in titles] == list(synthetic.DEFECTS)
    assert titles[0].endswith("same") and titles[-1].endswith("different")
