"""Does the cost of scoring stay within bounds? Against 1 to 100,000 references, and for 1 to 100,000 pictures.

    python -m experiments.benchmark_scale                  # 20 minutes on two cores
    python -m experiments.benchmark_scale --most=1000      # 3 minutes

What you will see: time and peak memory of each point, measured in a process of its own, as a table and a plot in
results/. Expected: time grows with the product of references and pictures; memory beyond the embeddings themselves does
not grow, since comparisons go block by block. References and embeddings are noise: only their number matters here.
"""

import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from absl import app, flags
from tqdm import tqdm

from experiments import data, race
from experiments.machine import machine

RESULTS = Path(__file__).parent / "results" / "benchmark_scale.json"
PICTURES, REFERENCES = 100, 100  # of the curves over references, and over pictures
# curve: (title, largest number)
CURVES = {
    "references euclidean": ("nearest of vectors of 512, Euclidean (paper T)", 100_000),
    "references l1": ("mean of vectors of 4096, L1 and sigmoid unit (paper S)", 100_000),
    "references patches": ("maps of 20 x 20 patches of 512, the Detector's default", 1000),
    "pictures euclidean": ("nearest of vectors of 512, Euclidean (paper T)", 100_000),
    "pictures l1": ("mean of vectors of 4096, L1 and sigmoid unit (paper S)", 100_000),
    "pictures files": ("files to verdicts, custom CNN, 8 references", 10_000),
}


def measure(curve, number):
    """``(seconds, megabytes, held)`` of one point: time, the growth of memory while scoring, and the megabytes of the
    embeddings given, which the process held before."""
    kind, comparison = curve.split()
    count, references = (number, REFERENCES) if kind == "pictures" else (PICTURES, number)
    rng = np.random.default_rng(0)
    work, held = _files(count) if comparison == "files" else _embedded(comparison, rng, count, references)
    race.forget_peak()
    before = race.peak_megabytes()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun, race.peak_megabytes() - before, held


def _embedded(comparison, rng, count, references):
    import keras

    from fsad import scoring, siamese

    shape = (20, 20, 512) if comparison == "patches" else ({"l1": 4096, "euclidean": 512}[comparison],)
    if comparison == "patches":
        count = min(count, 8)
    distance = {
        "l1": lambda: siamese.distance_head(4096, "l1"),
        "euclidean": lambda: siamese.bare_distance(512),
        "patches": lambda: siamese.patch_distance(shape),
    }[comparison]()
    picture = keras.Input(shape)
    same = [keras.Model(picture, keras.layers.Identity()(picture), name=name) for name in ("backbone", "neck")]
    model = siamese.build(*same, distance)
    embeddings, others = (rng.random((n, *shape), np.float32) for n in (count, references))
    held = (embeddings.nbytes + others.nbytes) / 1e6
    if comparison == "patches":
        # As the Detector has it: a batch against all references, each patch with its own nearest.
        return lambda: siamese.against(model, embeddings, others)["score"].numpy(), held
    reduction = "min" if comparison == "euclidean" else "mean"
    return lambda: scoring.score(model, embeddings, others, reduction), held


def _files(count):
    from fsad.detector import Detector
    from fsad.export import runtime

    folder = data.resolve("synthetic-metal")
    good = sorted(folder.glob("train/good/*.png"))[:16]
    detector = Detector("senarathna", epochs=1, folds=0).fit(good, str(folder / "test/*/000.png"), progress=False)
    runtime.choose(detector)
    paths = [str(path) for path in sorted(folder.glob("test/*/*.png"))]
    paths = (paths * (count // len(paths) + 1))[:count]
    detector.score(paths[:8])

    def work():
        for _ in detector.stream(paths):
            pass

    return work, 0.0


def page(found):
    """The table, in Markdown."""
    lines = [
        "# The cost of scoring, by number",
        "",
        f"Written by `python -m experiments.benchmark_scale` on {found['machine']}. Against references: "
        f"{PICTURES} pictures at once (8 for maps of patches); for pictures: {REFERENCES} references. *Memory*: what "
        "scoring took beyond the embeddings it was given (*held*). Embeddings are noise, files synthetic.",
        "",
        "![time and memory](benchmark_scale.png)",
    ]
    for curve, points in found["curves"].items():
        kind = curve.split()[0]
        lines += ["", f"## {kind.capitalize()}: {CURVES[curve][0]}", ""]
        lines += [f"| {kind} | seconds | ms a picture | held | memory |", "| --- | --- | --- | --- | --- |"]
        for p in points:
            pictures = p["number"] if kind == "pictures" else 8 if "patches" in curve else PICTURES
            lines.append(f"| {p['number']:,} | {p['seconds']:.3g} | {1000 * p['seconds'] / pictures:.3g} | "
                         f"{p['held']:,.0f} MB | {p['megabytes']:,.0f} MB |")  # fmt: skip
    return "\n".join(lines) + "\n"


def plot(found):
    """Time a picture and memory, over references and over pictures."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for curve, points in found["curves"].items():
        kind = curve.split()[0]
        column = int(kind == "pictures")
        numbers = [p["number"] for p in points]
        scored = [n if column else 8 if "patches" in curve else PICTURES for n in numbers]
        label = CURVES[curve][0]
        each = [1000 * p["seconds"] / n for p, n in zip(points, scored, strict=True)]
        axes[0, column].loglog(numbers, each, "o-", label=label)
        axes[1, column].semilogx(numbers, [p["megabytes"] for p in points], "o-", label=label)
    for column, name in enumerate(("references", "pictures")):
        axes[0, column].set_ylabel("ms a picture")
        axes[1, column].set(xlabel=name, ylabel="memory beyond the embeddings, MB")
        axes[1, column].set_ylim(bottom=0)
        axes[0, column].legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1))
        for axis in axes[:, column]:
            axis.grid(alpha=0.3)
    figure.suptitle(f"Scoring on {found['machine']}", fontsize=10)
    return figure


def main(_):
    from fsad import storage
    from fsad.explain import overlay

    out = Path(flags.FLAGS.json)
    found = {"machine": machine(), "curves": {curve: [] for curve in CURVES}}
    points = [(curve, 10**k) for curve, (_, most) in CURVES.items() for k in range(6)
              if 10**k <= min(most, flags.FLAGS.most)]  # fmt: skip
    data.resolve("synthetic-metal")
    spawn = multiprocessing.get_context("spawn")
    for curve, number in tqdm(points, unit="point"):
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            seconds, megabytes, held = pool.submit(measure, curve, number).result()
        point = {"number": number, "seconds": seconds, "megabytes": megabytes, "held": held}
        found["curves"][curve].append(point)
        storage.write(out, (json.dumps(found, indent=1) + "\n").encode())
    storage.write(out.with_suffix(".md"), page(found).encode())
    overlay.save(plot(found), out.with_suffix(".png"), dpi=100)
    print(page(found))


if __name__ == "__main__":
    flags.DEFINE_string("json", str(RESULTS), "file for the figures; a table and a plot beside it")
    flags.DEFINE_integer("most", 100_000, "largest number to go to", lower_bound=1)
    app.run(main)
