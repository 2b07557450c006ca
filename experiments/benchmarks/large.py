"""Is a small scratch found in a large image?

    python -m experiments.benchmarks.large            # 20 minutes on two cores, 10 of them for drawing

What you will see: 4000 x 3000 pixels, synthetic brushed metal; 16 good images to fit on, ten more good ones, and the
same ten with one scratch of 30 x 12 pixels each, plain or faint. A line for each way to fit: the default, and larger or
smaller inputs, with and without tiles; how many scratches are found at the threshold, in which the largest value of the
map lies on the scratch, false alarms, time and peak memory. Written to results/benchmark_large.md.
Expected: what is resized to 320 pixels loses the scratch; without tiles it drowns.
"""

import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from absl import app
from tqdm import tqdm

from experiments import data, memory, runner
from experiments.page import machine, write_text
from experiments.statistics import markdown
from fsad import metrics, synthetic
from fsad.files import atomic_folder
from fsad.images import write_image
from fsad.synthetic import defects
from fsad.synthetic.light import photograph
from fsad.synthetic.surfaces import SURFACES

WIDTH, HEIGHT = 4000, 3000
GOOD, TESTED = 16, 10
SCRATCH = 30, 12  # pixels
KINDS = {"plain": 0.5, "faint": 0.2}  # how much darker a scratch is than the metal
WAYS = {
    "the default": {},
    "all patches of the references": {"max_patches": None},
    "a quarter of the default's": {"max_patches": 4096},
    "320 x 320 pixels in area, no tiles": {"side": 320},
    "1024 x 1024 in area, no tiles": {"side": 1024},
}
RESULTS = runner.ROOT / "results" / "benchmark_large.json"


def surface(seed):
    """A good surface of brushed metal and the generator that goes on from it."""
    rng, station = np.random.default_rng([seed, 7]), np.random.default_rng(7)
    made = SURFACES["metal"](rng, WIDTH, station)
    defects.wear(made, rng)
    return made, rng


def scratched(made, rng, depth):
    """``(surface, (x, y))``: a copy with one scratch somewhere, and the middle of it."""
    x, y = (int(rng.integers(100, size - 100)) for size in (WIDTH, HEIGHT))
    line = np.zeros((WIDTH, WIDTH), np.uint8)
    across, down = SCRATCH[0] // 2, SCRATCH[1] // 2
    cv2.line(line, (x - across, y - down), (x + across, y + down), 255, 3, cv2.LINE_AA)
    albedo = made.albedo * (1 - depth * cv2.GaussianBlur(line, (0, 0), 0.7)[..., None] / np.float32(255))
    copy = type(made)(made.height, albedo, 0)
    copy.gloss = made.gloss
    return copy, (x, y)


def draw(folder):
    """Writes the images, once: ``good``, ``test/good`` and ``test/KIND``, and ``places.json``."""
    if folder.exists():
        return folder
    places = {}
    with atomic_folder(folder, "large images", "places.json") as part:
        for k in tqdm(range(GOOD + TESTED), desc="drawing", unit="image"):
            made, rng = surface(k)
            state = rng.bit_generator.state

            def draw_into(one, name, rng=rng, state=state):
                rng.bit_generator.state = state  # the same light and noise
                image = photograph(one, rng, np.random.default_rng(8))[:HEIGHT]
                write_image(part / name, image)

            draw_into(made, f"good/{k:02d}.png" if k < GOOD else f"test/good/{k:02d}.png")
            for kind, depth in KINDS.items() if k >= GOOD else ():
                one, place = scratched(made, np.random.default_rng([k, 9]), depth)
                places[f"{kind}/{k:02d}.png"] = place
                draw_into(one, f"test/{kind}/{k:02d}.png")
        (part / "places.json").write_text(json.dumps(places))
    return folder


def measure(folder, settings, queue):
    """One way, in a process of its own, whose peak memory is told by the system."""
    import fsad

    begun = time.perf_counter()
    detector = fsad.Detector(**settings).fit(folder / "good", progress=False)
    fit_seconds = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as saved:  # as on the line: by the graph
        detector = fsad.load(detector.save(Path(saved) / "detector"))
    detector.score(next((folder / "good").iterdir()))
    places, verdicts = json.loads((folder / "places.json").read_text()), {}
    begun, count = time.perf_counter(), 0
    for kind in ("good", *KINDS):
        for p in detector.stream(folder / "test" / kind, details=True):
            name = f"{kind}/{p.sample.path.name}"
            row, column = np.unravel_index(p.anomaly_map.argmax(), p.anomaly_map.shape)
            cell = np.array([WIDTH, HEIGHT]) / p.anomaly_map.shape[::-1]
            away = np.abs((np.array([column, row]) + 0.5) * cell - places.get(name, (np.inf, np.inf)))
            verdicts[name] = {
                "score": p.score,
                "alarm": p.verdict == "defective",
                "there": bool((away < 2 * cell).all()),
            }
            count += 1
    queue.put({
        "size": detector.size, "fit_seconds": fit_seconds, "seconds": (time.perf_counter() - begun) / count,
        "verdicts": verdicts, "weights": detector.fitted.weights,
        "megabytes": memory.peak(),
    })  # fmt: skip


def line(way, result):
    """A line of the table."""
    verdicts = result["verdicts"]
    by_kind = {kind: [verdicts[name] for name in verdicts if name.startswith(f"{kind}/")] for kind in ("good", *KINDS)}
    cells = {"": way, "input": "{1} x {0}".format(*result["size"])}
    for kind in KINDS:
        scores = [one["score"] for one in by_kind["good"] + by_kind[kind]]
        labels = np.repeat([0, 1], [len(by_kind["good"]), len(by_kind[kind])])
        cells[f"{kind}: found"] = f"{sum(one['alarm'] for one in by_kind[kind])} of {len(by_kind[kind])}"
        cells[f"{kind}: map on it"] = f"{sum(one['there'] for one in by_kind[kind])} of {len(by_kind[kind])}"
        cells[f"{kind}: AUROC"] = f"{metrics.auroc(labels, scores):.2f}"
    cells["false alarms"] = f"{sum(one['alarm'] for one in by_kind['good'])} of {len(by_kind['good'])}"
    cells["fit"] = f"{result['fit_seconds']:.0f} s"
    cells["per image"] = f"{result['seconds']:.1f} s"
    cells["peak memory"] = f"{result['megabytes']:.0f} MB"
    return cells


def main(_):
    folder = draw(data.CACHE / "data" / synthetic.version() / "large-metal")
    results, context = {}, multiprocessing.get_context("spawn")
    for way, settings in tqdm(WAYS.items(), desc="fitting and scoring", unit="way"):
        queue = context.Queue()
        process = context.Process(target=measure, args=(folder, settings, queue))
        process.start()
        results[way] = queue.get()
        process.join()
    text = (
        "# A small scratch in a large image\n\n"
        f"Written by `python -m experiments.benchmarks.large` on {machine()}. Synthetic images, brushed metal, "
        f"{WIDTH} x {HEIGHT} pixels: fitted to {GOOD} good ones and no defective one; tested on {TESTED} others, and "
        f"on the same with one scratch of {SCRATCH[0]} x {SCRATCH[1]} pixels that is "
        + " or ".join(f"{depth:.0%} darker ({kind})" for kind, depth in KINDS.items())
        + ". *Map on it*: the largest value of the anomaly map is within two cells of the scratch. Reading the files "
        "is part of the times.\n\n"
        + markdown(pd.DataFrame([line(way, result) for way, result in results.items()]))
        + "\n"
    )
    write_text(RESULTS, results, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
