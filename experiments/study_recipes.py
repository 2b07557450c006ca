"""Which recipe should be the default of `fsad.Detector`? Each as a user has it, from 16 good and 8 defective pictures.

    python -m experiments.study_recipes
    python -m experiments.study_recipes --data=magnetic_tile --draws=5 --test_per_class=0

What you will see: one row a recipe on the same draws, tested on parts it has not seen, in half a minute a draw on two
cores. Expected: ImageNet features lead; without weights the filter bank holds on textures; random features are chance.
The paper's recipe, `senarathna`, has the same draws in `experiments.senarathna_table1` and is not trained again. The
defective pictures only set the threshold.
"""

import keras
import numpy as np

from experiments import data, reports, study
from experiments.senarathna import check
from experiments.tables import Column, Result, Row, Table
from fsad import evaluation, metrics, splits
from fsad.detector import Detector

TABLE = Table(
    name="study_recipes",
    title="Recipes of the Detector, 16 good and 8 defective pictures",
    columns=(
        Column("auroc", "AUROC"),
        Column("f1", "F1"),
        Column("precision", "Precision"),
        Column("recall", "Recall"),
        Column("pixel_auroc", "Pixel AUROC"),
    ),
    rows=(
        Row("patches", "patches, MobileNet, ImageNet", {"backbone": "mobilenet"}, {}, draws=3),
        Row("filter_bank", "patches, filter bank, no weights", {"backbone": "filter_bank"}, {}, draws=3),
        Row(
            "random",
            "patches, MobileNet, random",
            {"backbone": "mobilenet", "weights": "none"},
            {},
            draws=3,
        ),
    ),
    settings={
        "data": "synthetic-metal",
        "weights": "imagenet",
        "epochs": 1,
        "anchors": 8,  # with the good ones: one draw is the same pictures in every table
        "good": 8,
        "defective": 8,
        "hold_out": None,
        "test_per_class": 73,
    },
    notes=("Positive is defective; a rate is at the threshold that the Detector set.",),
)


def train(settings, on_epoch=lambda loss: None):
    """One detector and its test, as `experiments.study` calls it."""
    dataset = data.load(settings["data"])
    rng = np.random.default_rng(settings["seed"])
    roles = {k: settings[k] for k in ("anchors", "good", "defective", "hold_out")}
    shots = splits.sample_shots(dataset, rng, **roles, test_per_class=settings["test_per_class"] or None)
    chosen = {"backbone": settings["backbone"], "weights": settings["weights"]}
    detector = Detector(seed=settings["seed"], **chosen)
    detector.fit([s.path for s in shots.anchors + shots.good], [s.path for s in shots.defective], progress=False)
    on_epoch(float("nan"))
    findings = detector.inspect([s.path for s in shots.test])
    areas = [evaluation.pixel_auroc(f.map, s.mask) for f, s in zip(findings, shots.test, strict=True)]
    areas = [a for a in areas if a is not None]
    record = {
        "data": data.describe(dataset),
        "weights_loaded": detector.fitted.weights,
        "threshold": detector.threshold.value,
        "pixel_auroc": float(np.mean(areas)) if areas else None,
        "test": {**data.told(shots.test, dataset), "score": [f.score for f in findings]},
    }
    keras.backend.clear_session()
    return record, {}


def report(runs):
    """Results by row, and AUROC by defect type."""
    rows, results = reports.by_row(runs), {}
    for row, found in rows:
        draws = [reports.draw(r["test"], r["test"]["score"], r["threshold"]) for r in found]
        cells, _ = reports.cells(evaluation.statistics, evaluation.NAMES[:4], draws)
        cells["pixel_auroc"] = reports.spread([r["pixel_auroc"] or np.nan for r in found])
        tested = " or ".join(map(str, sorted({len(r["test"]["label"]) for r in found})))
        note = f"{len(found)} draws, {tested} test pictures a draw, weights {found[0]['weights_loaded']}."
        results[row.key] = Result(cells, (note,))
    return results, _by_kind(rows), {}


def _by_kind(rows):
    kinds = sorted({k for _, found in rows for r in found for k in r["test"]["kind"]} - {"good"})
    lines = ["## AUROC by defect type, against all good test pictures", "", "| | " + " | ".join(kinds) + " |"]
    lines.append("|" + " --- |" * (len(kinds) + 1))
    for row, found in rows:
        cells = []
        for kind in kinds:
            areas = []
            for r in found:
                labels, scores, names = (np.array(r["test"][k]) for k in ("label", "score", "kind"))
                chosen = (labels == 0) | (names == kind)
                areas.append(metrics.auroc(labels[chosen], scores[chosen]))
            cells.append(reports.plus_minus(areas))
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    study.main(TABLE, train, report, check)
