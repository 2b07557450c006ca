"""Where the time goes when many files are scored: reading, resizing, the network, matching.

    python -m experiments.benchmarks.pipeline                  # 15 minutes on two cores
    python -m experiments.benchmarks.pipeline --images=2000    # 3 minutes

What you will see: for JPEG files of 1 and of 12 megapixels, how many images a second each stage does by itself on all
cores, which share of the machine's limit that is (`experiments.benchmarks.limits`: JPEG decoding, matrix products), its
share of the work, and how many the whole does, from files to predictions; peak memory. A detector for the line, which
its saved graph scores. Files of 12 megapixels are scored at 320 pixels and at the size the default chooses for them.
Written to results/benchmark_pipeline.md.
Expected: small images are bound by the network; of large ones most is reading; the whole comes near what its stages
allow together. Files are synthetic metal, drawn small, enlarged and made rough; the same few are read again and again,
from memory.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from absl import flags
from PIL import Image

import fsad
from experiments import runner, statistics
from experiments.benchmarks import limits, race
from experiments.page import machine, write_text
from fsad import images, siamese, synthetic
from fsad.export import onnx, session
from fsad.images import batch_for

RESULTS = runner.ROOT / "results" / "benchmark_pipeline.json"
SIZES = {"1 megapixel": (1000, 1000), "12 megapixels": (4000, 3000)}
CASES = (("1 megapixel", 320), ("12 megapixels", 320), ("12 megapixels", None))
FILES, GOOD = 12, 16  # distinct files, images of the fit
PROBES, TURNS = 48, 3  # images of a stage's turn, and turns
BATCH = 8  # images that are scored at a time, as `fsad.scorer` does
MAX_SECONDS = 120  # of the whole
WHOLE = """  # files to predictions by the saved graph, until all are done or the time is over
import json, sys, time
import fsad
from experiments import memory
detector, total, limit, paths = fsad.load(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
detector.score(paths[:8])
begun, done = time.perf_counter(), 0
for _ in detector.stream([paths[k % len(paths)] for k in range(total)]):
    done += 1
    if time.perf_counter() - begun > limit:
        break
print(json.dumps({"done": done, "rate": done / (time.perf_counter() - begun), "megabytes": memory.peak()}))
"""


def draw(folder, size, count, kind, rng):
    """JPEG files of ``(width, height)``, as paths."""
    paths = []
    for k in range(count):
        small, _ = synthetic.draw("metal", kind, rng, size=500)
        image = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        image += rng.normal(0, 3, image.shape[:2]).astype(np.float32)[..., None]
        paths.append(folder / f"{kind}{k:03d}.jpg")
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(paths[-1], quality=92)
    return paths


def rate(call, count):
    """Calls a second: of ``count`` images, the median of `TURNS`."""
    seconds = []
    for _ in range(TURNS + 1):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return count / float(np.median(seconds[1:]))


def stages(detector, paths):
    """Images a second of each stage alone."""
    count = PROBES if batch_for(detector.size, BATCH) == BATCH else BATCH
    some = [paths[k % len(paths)] for k in range(count)]
    read = limits.threads(images.read_image, some[: min(count, FILES)])
    decoded = [read[k % len(read)] for k in range(count)]
    batch = np.stack([images.resize(image, detector.size) for image in decoded[:BATCH]])
    whole = session.of(detector.fitted.graph)
    network = session.of(onnx.converted(without_matching(detector)))
    repeat = range(0, count, BATCH)
    rates = {
        "read": rate(lambda: limits.threads(images.read_image, some), count),
        "resize": rate(lambda: limits.threads(lambda image: images.resize(image, detector.size), decoded), count),
        "network": rate(lambda: [network(batch) for _ in repeat], count),
    }
    both = rate(lambda: [whole(batch) for _ in repeat], count)
    return {**rates, "match": 1 / max(1 / both - 1 / rates["network"], 1e-9)}


def without_matching(detector):
    """The detector's function up to the embeddings."""
    import tensorflow as tf

    backbone, neck, _ = siamese.parts(detector.model)

    def embed(batch):
        embeddings = neck(backbone(tf.cast(batch, tf.float32), training=False), training=False)
        return {"score": tf.reduce_max(embeddings, axis=(1, 2, 3))}  # all of them are computed

    signature = [tf.TensorSpec((None, *detector.size, 3), tf.uint8, "images")]
    return tf.function(embed, input_signature=signature, autograph=False)


def limits_of(detector, pixels, best):
    """Images a second that the machine could do at most, by stage; None where no limit is measured."""
    backbone, neck, _ = siamese.parts(detector.model)
    cost = limits.cost_of([*backbone.layers, *neck.layers])
    references = detector.fitted.references
    cells = int(np.prod(neck.output_shape[1:3]))
    products = 2 * cells * references.size
    return {
        "read": best["jpeg_pixels_per_second"] / pixels,
        "resize": best["bytes_per_second"] / (3 * pixels),
        "network": BATCH / limits.forward_seconds(cost, BATCH, best),
        "match": best["float32_flops"] / products,
    }


def measure(case, folder, total, best):
    """One case, in a process of its own."""
    name, side = case
    folder, rng = Path(folder), np.random.default_rng(0)
    size = SIZES[name]
    good = draw(folder, size, GOOD, "good", rng)
    paths = draw(folder, size, FILES // 2, "scratch", rng) + good[: FILES // 2]
    detector = fsad.Detector(**({"side": side} if side else {})).fit(good, progress=False)
    saved = detector.save(folder / "detector")
    measures = {"size": detector.size, "stages": stages(fsad.load(saved), paths)}
    measures["references"] = list(detector.fitted.references.shape)
    measures["limits"] = limits_of(detector, size[0] * size[1], best)
    # By a program of its own: this process has TensorFlow in its memory.
    command = [sys.executable, "-c", WHOLE, saved, str(total), str(MAX_SECONDS), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=runner.ROOT.parent)
    if done.returncode:
        raise RuntimeError(f"The program of the whole failed: {'; '.join(done.stderr.splitlines()[-5:])}")
    return {**measures, **json.loads(done.stdout)}


def lines_of(name, case):
    """Table lines of a case: of its stages, and of the whole."""
    work = {stage: 1 / value for stage, value in case["stages"].items()}
    stages = [
        {
            "files": name,
            "stage": stage,
            "images/s": f"{value:.1f}",
            "of the machine's limit": f"{value / case['limits'][stage]:.0%}",
            "of the work": f"{work[stage] / sum(work.values()):.0%}",
        }
        for stage, value in case["stages"].items()
    ]
    whole = {
        "files": name,
        "images": f"{case['done']:,}",
        "images/s": f"{case['rate']:.1f}",
        "of what its stages allow": f"{case['rate'] * sum(work.values()):.0%}",
        "peak memory": f"{case['megabytes']:.0f} MB",
        "20,000 images": f"{20_000 / case['rate'] / 60:.0f} min",
    }
    return stages, whole


def main(_):
    results, stage_lines, whole_lines, best = {}, [], [], race.alone(limits.measure)
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            measures = race.alone(measure, case, folder, flags.FLAGS.images, best)
        height, width = measures["size"]
        name = f"{case[0]}, scored at {width} x {height}"
        results[name] = measures
        parts, all_of_it = lines_of(name, measures)
        stage_lines += parts
        whole_lines.append(all_of_it)
        text = (
            "# From files to scores: where the time goes\n\n"
            f"Written by `python -m experiments.benchmarks.pipeline` on {machine()}. Synthetic metal as JPEG, "
            f"{FILES} files read again and again; the default detector, {GOOD} reference images, its saved graph in "
            f"ONNX Runtime.\n\n{statistics.markdown(pd.DataFrame(whole_lines))}\n\n"
            "*What its stages allow*: all cores busy with one stage after the other. The last column is computed from "
            f"the rate.\n\nStages, each by itself on all cores, medians of {TURNS}. *Limit*: JPEG decoding by "
            "Pillow (fsad's reader has a faster library), memory, matrix products in float32.\n\n"
            f"{statistics.markdown(pd.DataFrame(stage_lines))}\n"
        )
        write_text(RESULTS, results, text)
    print(text)


if __name__ == "__main__":
    flags.DEFINE_integer("images", 20_000, "most images of a case; a case ends after 2 minutes", lower_bound=64)
    runner.run_main(main)
