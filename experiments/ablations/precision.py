"""What does bfloat16 cost? The custom CNN trained in float32 and in bfloat16, and detectors scored by each runtime.

    python -m experiments.ablations.precision

What you will see: AUROC over five draws, with TensorFlow in float32 after training in either, and the same scores by
OpenVINO in float32 and in bfloat16 with their largest difference. Half an hour on two cores. Expected: OpenVINO in
float32 changes nothing; bfloat16 is fit for the network that ends in a sigmoid unit, and not for distances of patches,
which `fsad.export.runtime` refuses it for.
"""

import keras
import numpy as np

from experiments import data, runner
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from experiments.statistics import spread
from fsad import metrics
from fsad.detector import Detector
from fsad.export import runtime
from fsad.images import read_images

NAMES = runtime.RUNTIMES[:3]
PAPER = {"recipe": "senarathna", "backbone": "custom_cnn"}
TABLE = Table(
    name="study_precision",
    title="AUROC and scores in float32 and in bfloat16",
    columns=(
        *(Column(f"auroc {name}", f"AUROC, {name}") for name in NAMES),
        *(Column(f"difference {name}", f"Largest difference of a score, {name}", "{:.1e}") for name in NAMES[1:]),
    ),
    rows=(
        Row("float32", "custom CNN, trained in float32", {**PAPER, "arithmetic": "float32"}, draws=5),
        Row("bfloat16", "custom CNN, trained in bfloat16", {**PAPER, "arithmetic": "mixed_bfloat16"}, draws=5),
        Row("default", "the Detector's default, not trained",
            {"recipe": "patches", "backbone": "mobilenet", "arithmetic": None}, draws=5),
    ),
    settings={
        "data": "synthetic-leather",
        "weights": "imagenet",
        "epochs": 5,
        "anchors": 8,
        "good": 8,
        "defective": 8,
        "hold_out": None,
        "test_per_class": 73,
    },
    notes=("A difference is from TensorFlow's scores of the same detector; the mean over the draws of the largest.",),
)  # fmt: skip


def train(settings, on_epoch=lambda loss: None):
    """One detector and its scores by each runtime, as `experiments.runner` calls it."""
    dataset = data.of(settings)
    shots = data.shots(dataset, settings, np.random.default_rng(settings["seed"]))
    trained = settings["recipe"] == "senarathna"
    options = {"epochs": settings["epochs"]} if trained else {"weights": settings["weights"]}
    options |= {"backbone": settings["backbone"], "precision": settings["arithmetic"]}
    detector = Detector(settings["recipe"], seed=settings["seed"], folds=0, **options)
    detector.fit([*shots.anchors, *shots.good], [*shots.defective], progress=False)
    on_epoch(float("nan"))
    images = read_images([s.path for s in shots.test], detector.size)
    functions = runtime.functions(detector, [n for n in NAMES if n in runtime.installed()])
    scores = {name: runtime.scores(function, images).tolist() for name, function in functions.items()}
    keras.backend.clear_session()
    test = data.test_fields(shots.test, dataset)
    return {"data": data.describe(dataset, settings), "test": test, "scores": scores}, {}


def report(runs):
    """Mean AUROC of each runtime and the largest differences."""
    results = {}
    for row, records in by_row(runs):
        cells = {}
        for name in NAMES:
            tested = [r for r in records if name in r["scores"]]
            cells[f"auroc {name}"] = spread([metrics.auroc(r["test"]["label"], r["scores"][name]) for r in tested])
            differences = [np.abs(np.subtract(r["scores"][name], r["scores"]["tensorflow"])).max() for r in tested]
            cells[f"difference {name}"] = spread(differences)
        note = f"{len(records)} draws, {len(records[0]['test']['label'])} test images each."
        results[row.key] = Result(cells, (note,))
    return results, "", {}


if __name__ == "__main__":
    runner.main(TABLE, train, report)
