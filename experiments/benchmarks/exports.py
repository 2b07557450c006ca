"""Does a detector score the same wherever it runs? Fit process, fresh process and every export, on held-out images.

    python -m experiments.benchmarks.exports
    python -m experiments.benchmarks.exports --data=magnetic_tile

What you will see: one line per runtime with the largest difference of a score from the fit process, changed verdicts,
and AUROC. Two minutes on two cores. Expected: differences of float32 rounding, except for int8, whose loss is
the reason for this table.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from absl import flags
from tqdm import tqdm

from experiments import data, runner
from experiments.page import machine, write_text
from experiments.statistics import markdown
from fsad import export, metrics, splits
from fsad.detector import Detector
from fsad.images import read_images

FLAGS = flags.FLAGS
# title: (format, file, options)
EXPORTS = {
    "SavedModel": ("saved_model", "model", {}),
    "ONNX Runtime": ("onnx", "model.onnx", {}),
    "OpenVINO": ("openvino", "model.xml", {}),
    "LiteRT float32": ("litert", "model.tflite", {}),
    "LiteRT int8": ("litert", "model.tflite", {"int8": True}),
}
FRESH = "import sys, numpy as np, fsad; np.save(sys.argv[2], fsad.load(sys.argv[1]).score(sys.argv[3:]))"


def measure(dataset, seed, count):
    """Scores of ``count`` test images by every runtime: ``(detector, labels, {runtime: scores})``."""
    shots = splits.sample_shots(dataset, np.random.default_rng(seed), test_per_class=count // 2)
    detector = Detector(seed=seed).fit([*shots.anchors, *shots.good], [*shots.defective], progress=False)
    paths = [str(s.path) for s in shots.test]
    images, scores = read_images(paths, detector.size), {"fit process": detector.score(paths)}
    with tempfile.TemporaryDirectory() as folder:
        saved = detector.save(Path(folder) / "detector")
        subprocess.run([sys.executable, "-c", FRESH, saved, f"{folder}/s.npy", *paths], check=True)
        scores["fresh process"] = np.load(f"{folder}/s.npy")
        for title, (format, file, options) in tqdm(EXPORTS.items(), unit="runtime"):
            score = export.write(detector, format, Path(folder) / file, **options)
            scores[title] = np.concatenate([np.asarray(score(image[None])).reshape(-1) for image in images])
    return detector, np.array([s.label for s in shots.test]), scores


def main(_):
    name = (FLAGS.data or ["synthetic-metal"])[0]
    dataset = data.load(name)
    detector, labels, scores = measure(dataset, FLAGS.seed, FLAGS.count)
    limit, expected = detector.threshold.value, scores["fit process"]
    rows = {
        title: {
            "largest_difference": float(np.abs(values - expected).max()),
            "verdicts_changed": int(((values > limit) != (expected > limit)).sum()),
            "auroc": metrics.auroc(labels, values),
        }
        for title, values in scores.items()
    }
    lines = [
        {"": title, "largest difference": f"{row['largest_difference']:.1e}",
         "verdicts changed": str(row["verdicts_changed"]), "AUROC": f"{row['auroc']:.4f}"}
        for title, row in rows.items()
    ]  # fmt: skip
    table = markdown(pd.DataFrame(lines))
    text = [
        "# A detector scores the same wherever it runs",
        f"Written by `python -m experiments.benchmarks.exports --data={name}` on {machine()}. One detector "
        f"(seed {FLAGS.seed}, {detector.recipe}, weights {detector.fitted.weights}, 16 good and 8 defective images), "
        f"{len(labels)} images of held-out parts, scores around its threshold of {limit:.4f}.",
        f"Data: {data.describe(dataset)}.",
        table,
    ]
    suffix = "" if name == "synthetic-metal" else f"_{Path(name).name}"
    path = Path(FLAGS.out) / f"check_exports{suffix}.json"
    write_text(path, {"threshold": limit, "runtimes": rows}, "\n\n".join(text) + "\n")
    print(f"{table}\n\nWritten: {os.path.relpath(path.with_suffix(''))}.md, .json")


if __name__ == "__main__":
    flags.DEFINE_integer("count", 200, "test images")
    runner.run_main(main)
