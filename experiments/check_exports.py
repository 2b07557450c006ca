"""Does a detector score the same wherever it runs? Fit process, fresh process and every export, on unseen pictures.

    python -m experiments.check_exports
    python -m experiments.check_exports --data=magnetic_tile

What you will see: one line a runtime with the largest difference of a score from the fit process, changed verdicts,
and AUROC. Two minutes on two cores. Expected: differences of float32 rounding, except for int8, whose loss is
the reason for this table.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from experiments import data, study
from experiments.machine import machine
from fsad import export, images, metrics, splits, storage
from fsad.detector import Detector

RUNTIMES = (
    ("fit process", None, {}),
    ("fresh process", None, {}),
    ("SavedModel", "saved_model", {}),
    ("ONNX Runtime", "onnx", {}),
    ("OpenVINO", "openvino", {}),
    ("LiteRT float32", "litert", {}),
    ("LiteRT int8", "litert", {"int8": True}),
)
FILES = {"saved_model": "model", "onnx": "model.onnx", "openvino": "model.xml", "litert": "model.tflite"}
FRESH = "import sys, numpy as np, fsad; np.save(sys.argv[2], fsad.load(sys.argv[1]).score(sys.argv[3:]))"


def measure(name, seed, count):
    """Scores of ``count`` test pictures by every runtime: ``(dataset, labels, threshold, {runtime: scores})``."""
    dataset = data.load(name)
    shots = splits.sample_shots(dataset, np.random.default_rng(seed), test_per_class=count // 2)
    detector = Detector(seed=seed)
    detector.fit([s.path for s in shots.anchors + shots.good], [s.path for s in shots.defective], progress=False)
    paths = [str(s.path) for s in shots.test]
    pictures = images.read_all(paths, detector.side)
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, format, options in tqdm(RUNTIMES, unit="runtime"):
            if title == "fit process":
                scores[title] = detector.score(paths)
            elif title == "fresh process":
                saved = detector.save(Path(folder) / "detector")
                subprocess.run([sys.executable, "-c", FRESH, saved, f"{folder}/s.npy", *paths], check=True)
                scores[title] = np.load(f"{folder}/s.npy")
            else:
                score = export.write(detector, format, Path(folder) / FILES[format], **options)
                scores[title] = np.concatenate([np.asarray(score(p[None])).reshape(-1) for p in pictures])
    return dataset, detector, np.array([s.label for s in shots.test]), scores


def main(_):
    FLAGS = flags.FLAGS
    dataset, detector, labels, scores = measure(FLAGS.data, FLAGS.seed, FLAGS.count)
    cut, own = detector.threshold.value, scores["fit process"]
    lines = ["| | largest difference | verdicts changed | AUROC |", "| --- | --- | --- | --- |"]
    record = {}
    for title, found in scores.items():
        row = {
            "largest_difference": float(np.abs(found - own).max()),
            "verdicts_changed": int(((found > cut) != (own > cut)).sum()),
            "auroc": metrics.auroc(labels, found),
        }
        record[title] = row
        lines.append(f"| {title} | {row['largest_difference']:.1e} | {row['verdicts_changed']} | {row['auroc']:.4f} |")
    text = [
        "# A detector scores the same wherever it runs",
        f"Written by `python -m experiments.check_exports --data={FLAGS.data}` on {machine()}. One detector (seed "
        f"{FLAGS.seed}, {detector.recipe}, weights {detector.fitted.weights}, 16 good and 8 defective pictures), "
        f"{len(labels)} pictures of parts it has not seen, scores around its threshold of {cut:.4f}.",
        f"Data: {data.describe(dataset)}.",
        "\n".join(lines),
    ]
    name = Path(FLAGS.out) / (
        "check_exports" + ("" if FLAGS.data == "synthetic-metal" else f"_{Path(FLAGS.data).name}")
    )
    storage.write(name.with_suffix(".md"), ("\n\n".join(text) + "\n").encode())
    record = json.dumps({"threshold": cut, "runtimes": record}, indent=1) + "\n"
    storage.write(name.with_suffix(".json"), record.encode())
    print("\n".join(lines) + f"\n\nWritten: {os.path.relpath(name)}.md, .json")


if __name__ == "__main__":
    flags.DEFINE_string("data", "synthetic-metal", "a data set: name or folder (experiments/data.py)")
    flags.DEFINE_integer("seed", 0, "seed of the draw")
    flags.DEFINE_integer("count", 200, "test pictures")
    flags.DEFINE_string("out", str(study.ROOT / "results"), "folder for the table")
    study.run_main(main)
