"""How soon is a change of light or camera noticed, and how often falsely?

    python -m experiments.benchmarks.drift            # 5 minutes on two cores

What you will see: for each data set a line per change. A detector is fitted to 16 good images; a stream of held-out
good images, drawn at random with repetition, goes by, unchanged at first and changed from image 33 on: darker by 10 and
20 %, blurred, moved by a twentieth of the side, warmer. How many of 200 streams notice it within 64 images of the
change, after how many in the median, and what is said. The line *unchanged*: how many of 200 streams of 500 unchanged
images are said to differ, which is false. Written to results/benchmark_drift.md.
Expected: a change is noticed where it is large beside how good images differ among each other.
"""

import collections

import cv2
import numpy as np
import pandas as pd
from absl import app, flags
from tqdm import tqdm

import fsad
from experiments import data, runner, statistics
from experiments.ablations import few
from experiments.page import machine, write_text
from fsad import drift
from fsad.images import read_images

flags.DEFINE_list("drift_sets", ["magnetic_tile", "kolektorsdd", "aws_alien", "elpv_mono"], "data sets")
flags.DEFINE_integer("streams", 200, "drawn for each line", lower_bound=1)
FLAGS = flags.FLAGS
BEFORE, AFTER, LONG = 32, 64, 500  # images of a stream
MAX_IMAGES = 40  # held-out good images
RESULTS = runner.ROOT / "results" / "benchmark_drift.json"


def scaled(images, factor):
    return np.clip(np.round(images * np.asarray(factor)), 0, 255).astype(np.uint8)


def blurred(images, sigma):
    return np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in images])


def moved(images):
    height, width = images.shape[1:3]
    shift = np.float32([[1, 0, width / 20], [0, 1, height / 20]])
    return np.stack([cv2.warpAffine(i, shift, (width, height), borderMode=cv2.BORDER_REFLECT_101) for i in images])


CHANGES = {
    "unchanged": lambda images: images,
    "10 % darker": lambda images: scaled(images, 0.9),
    "20 % darker": lambda images: scaled(images, 0.8),
    "blurred, 1.5 pixels": lambda images: blurred(images, 1.5),
    "moved by a twentieth": moved,
    "warmer: red + 5 %, blue - 5 %": lambda images: scaled(images, [1.05, 1, 0.95]),
}


def measured(name):
    """A fitted detector and, for each change, numbers ``(n, 3)`` and scores ``(n,)`` of held-out good images."""
    settings = {**data.known(name), **few.TABLE.settings, "data": name, "seed": 0}
    shots = data.shots(data.labelled(data.of(settings)), settings, np.random.default_rng(0))
    detector = fsad.Detector(group_pattern=settings["group_pattern"])
    detector.fit([str(s.path) for s in (*shots.anchors, *shots.good)], progress=False)
    held_out = [s.path for s in shots.test if not s.label][:MAX_IMAGES]
    images = read_images(held_out, detector.size)
    measures = {}
    for change, apply in CHANGES.items():
        changed = apply(images)
        scores = np.concatenate(
            [detector.scorer(changed[k : k + 8])["score"].numpy() for k in range(0, len(changed), 8)]
        )
        measures[change] = np.array([drift.numbers(image) for image in changed]), scores
    return detector, measures


def noticed(monitor, streams):
    """``(image, words)`` where the monitor first says something in a stream, or None; ``streams``: numbers, scores."""
    for values, score in streams:
        if words := monitor.update(values, score):
            return monitor.seen, words
    return None


def line(name, detector, measures, change, rng):
    """A line of the table."""
    named, when, false = [], [], 0
    for _ in tqdm(range(FLAGS.streams), desc=f"{name}, {change}", unit="stream", leave=False):
        monitor = drift.monitor_of(detector.fitted)
        plain, changed = measures["unchanged"], measures[change]
        count = LONG if change == "unchanged" else AFTER
        stream = [(plain, BEFORE), (changed, count)] if change != "unchanged" else [(plain, LONG)]
        images = ((v[k], s[k]) for (v, s), n in stream for k in rng.integers(0, len(s), n))
        first = noticed(monitor, images)
        if first is None:
            continue
        if change != "unchanged" and first[0] <= BEFORE:
            false += 1
            continue
        when.append(first[0] - (0 if change == "unchanged" else BEFORE))
        named += first[1]
    words = ", ".join(word for word, _ in collections.Counter(named).most_common(2))
    return {
        "data": name,
        "change": change,
        "noticed": f"{len(when)} of {FLAGS.streams - false}",
        "after images, median": f"{np.median(when):.0f}" if when else "–",
        "said": words or "–",
    }


def main(_):
    lines, rng = [], np.random.default_rng(0)
    for name in FLAGS.drift_sets:
        detector, measures = measured(name)
        lines += [line(name, detector, measures, change, rng) for change in CHANGES]
    text = (
        "# Drift: how soon it is noticed, how often falsely\n\n"
        f"Written by `python -m experiments.benchmarks.drift` on {machine()}. Detectors fitted to 16 good images; "
        f"streams of held-out good images, at most {MAX_IMAGES} of them, drawn with repetition: {BEFORE} as they are, "
        f"then up to {AFTER} changed ones. The lines *unchanged* are {FLAGS.streams} streams of {LONG} images "
        "without any change: each that is noticed is a false alarm. One draw of each data set.\n\n"
        f"{statistics.markdown(pd.DataFrame(lines))}\n"
    )
    write_text(RESULTS, {"lines": lines}, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
