"""What does bfloat16 cost? The custom CNN trained in float32 and in bfloat16, and detectors scored by each runtime.

    python -m experiments.study_precision

What you will see: AUROC over five draws, with TensorFlow in float32 after training in either, and the same scores by
OpenVINO in float32 and in bfloat16 with their largest difference. Half an hour on two cores. Expected: OpenVINO in
float32 changes nothing; bfloat16 is fit for the network that ends in a sigmoid unit, and not for distances of patches,
which `fsad.export.runtime` refuses it for.
"""

import keras
import numpy as np

from experiments import data, reports, study
from experiments.tables import Column, Result, Row, Table
from fsad import images, metrics
from fsad.detector import Detector
from fsad.export import runtime

NAMES = runtime.RUNTIMES[:3]
KEYS = tuple(name.replace(" ", "_") for name in NAMES)
PAPER = {"recipe": "senarathna", "backbone": "custom_cnn"}
TABLE = Table(
    name="study_precision",
    title="AUROC and scores in float32 and in bfloat16",
    columns=(
        *(Column(f"auroc_{key}", f"AUROC, {name}") for key, name in zip(KEYS, NAMES, strict=True)),
        *(
            Column(f"difference_{key}", f"Largest difference of a score, {name}", "{:.1e}")
            for key, name in zip(KEYS[1:], NAMES[1:], strict=True)
        ),
    ),
    rows=(
        Row("float32", "custom CNN, trained in float32", {**PAPER, "arithmetic": "float32"}, {}, 5),
        Row("bfloat16", "custom CNN, trained in bfloat16",
            {**PAPER, "arithmetic": "mixed_bfloat16"}, {}, 5),
        Row("default", "the Detector's default, not trained",
            {"recipe": "patches", "backbone": "mobilenet", "arithmetic": None}, {}, 5),
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
    """One detector and its scores by each runtime, as `experiments.study` calls it."""
    dataset = data.load(settings["data"])
    shots = data.shots(dataset, settings, np.random.default_rng(settings["seed"]))
    trained = settings["recipe"] == "senarathna"
    options = {"epochs": settings["epochs"]} if trained else {"weights": settings["weights"]}
    options["backbone"] = settings["backbone"]
    detector = Detector(settings["recipe"], seed=settings["seed"], folds=0, precision=settings["arithmetic"], **options)
    detector.fit([s.path for s in shots.anchors + shots.good], [s.path for s in shots.defective], progress=False)
    on_epoch(float("nan"))
    pictures = images.read_all([s.path for s in shots.test], detector.side)
    judges = runtime.judges(detector, [n for n in NAMES if n in runtime.installed()])
    scores = {name: runtime.scores(judge, pictures) for name, judge in judges.items()}
    keras.backend.clear_session()
    return {
        "data": data.describe(dataset),
        "test": data.told(shots.test, dataset),
        "scores": {name: found.tolist() for name, found in scores.items()},
    }, {}


def report(runs):
    """Mean AUROC of each runtime and the largest differences."""
    results = {}
    for row, found in reports.by_row(runs):
        cells = {}
        for key, name in zip(KEYS, NAMES, strict=True):
            told = [r for r in found if name in r["scores"]]
            areas = [metrics.auroc(r["test"]["label"], r["scores"][name]) for r in told]
            apart = [np.abs(np.subtract(r["scores"][name], r["scores"]["tensorflow"])).max() for r in told]
            cells |= {f"auroc_{key}": reports.spread(areas), f"difference_{key}": reports.spread(apart)}
        results[row.key] = Result(cells, (f"{len(found)} draws, {len(found[0]['test']['label'])} test pictures each.",))
    return results, "", {}


if __name__ == "__main__":
    study.main(TABLE, train, report)
