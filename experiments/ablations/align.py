"""What alignment is worth where parts do not lie in one place.

    python -m experiments.ablations.align                          # the toy figures, 5 minutes on two cores
    python -m experiments.ablations.align --data=elpv_mono

What you will see: 16 good and 8 defective images, held-out parts; all images as they were photographed, then all, those
of the fit too, shifted by up to a tenth of the side and turned by up to 15 degrees at random; each with and without
``align``.
Expected: nearly all images lock, and AUROC falls nevertheless: patches are compared wherever they lie, and what is
usual at a place is larger where the part always lies. Textures are refused, which is a failed run.
"""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

import fsad
from experiments import data, runner, statistics
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from fsad.images import write_image

SHIFT, TURN = 0.1, 15.0  # of the side, degrees, at most
SIDE = 640  # pixels: images are read no larger

TABLE = Table(
    name="study_align",
    title="Alignment of parts that do not lie in one place",
    columns=(
        Column("auroc", "AUROC"),
        Column("f1", "F1"),
        Column("f1_max", "F1-max"),
        Column("locked", "Locked", "{:.0f} %", 100),
        Column("milliseconds", "Per image", "{:.0f} ms"),
    ),
    rows=(
        Row("still", "as photographed", {"moved": False, "align": False}, draws=5),
        Row("still_aligned", "as photographed, aligned", {"moved": False, "align": True}, draws=5),
        Row("moved", "moved", {"moved": True, "align": False}, draws=5),
        Row("moved_aligned", "moved, aligned", {"moved": True, "align": True}, draws=5),
    ),
    settings={
        "data": "aws_alien",
        "backbone": "mobilenet",
        "weights": "imagenet",
        "anchors": 8,  # with the good ones: one draw is the same images in every table
        "good": 8,
        "defective": 8,
        "hold_out": None,
        "test_per_class": 73,
        "epochs": 1,
    },
    hidden_settings=("epochs", "precision"),
    notes=(f"Moved: shifted by up to {SHIFT:.0%} of each side and turned by up to {TURN:.0f} degrees, at random, "
           "the border repeated.",),
)  # fmt: skip


def train(settings, on_epoch=lambda loss: None):
    """One row and draw, as `experiments.runner` calls it."""
    dataset = data.labelled(data.of(settings))
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    with tempfile.TemporaryDirectory() as folder:
        good, defective, test = (
            [written(Path(folder), sample, dataset, rng if settings["moved"] else None) for sample in some]
            for some in ((*shots.anchors, *shots.good), shots.defective, shots.test)
        )
        pattern = settings["group_pattern"]
        detector = fsad.Detector(align=settings["align"], seed=settings["seed"], group_pattern=pattern)
        detector.fit(good, defective, progress=False)
        list(detector.stream(test[:8]))  # compiles
        begun = time.perf_counter()
        predictions = list(detector.stream(test))
        seconds = time.perf_counter() - begun
    on_epoch(float("nan"))
    return {
        "data": data.describe(dataset, settings),
        "test": data.test_fields(shots.test, dataset),
        "scores": [p.score for p in predictions],
        "threshold": detector.threshold.value,
        "locked": float(np.mean([bool(p.aligned) for p in predictions])) if settings["align"] else None,
        "milliseconds": 1000 * seconds / len(test),
    }, {}


def written(folder, sample, dataset, rng=None):
    """The path of a copy of an image, as `read` gives it, under the name of its own, which may tell its part."""
    path = folder / data.path_of(sample, dataset)
    write_image(path.with_suffix(".png"), read(sample, rng))
    return str(path.with_suffix(".png"))


def read(sample, rng=None):
    """An image; moved by ``rng`` if there is one."""
    image = sample.read()
    height, width = image.shape[:2]
    shrink = min(1, SIDE / max(height, width))
    image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else image
    if rng is None:
        return image
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(-TURN, TURN), 1)
    matrix[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * (width, height)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def report(runs):
    """Results by row."""
    results = {}
    for row, records in by_row(runs):
        values = {}
        for record in records:
            drawn = np.array(record["test"]["label"]), np.array(record["scores"]), record["threshold"]
            measured = dict(zip(statistics.DETECTION, statistics.detection(*drawn), strict=True))
            for key in (*statistics.DETECTION, "locked", "milliseconds"):
                if (value := measured.get(key, record.get(key))) is not None:
                    values.setdefault(key, []).append(value)
        note = f"{len(records)} draws, {len(records[0]['test']['label'])} test images per draw; {records[0]['data']}."
        results[row.key] = Result({key: statistics.spread(numbers) for key, numbers in values.items()}, (note,))
    return results, "", {}


if __name__ == "__main__":
    runner.main(TABLE, train, report)
