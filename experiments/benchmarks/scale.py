"""Does the cost of scoring stay within bounds? Against 1 to 100,000 references, and for 1 to 100,000 images.

    python -m experiments.benchmarks.scale                  # 20 minutes on two cores
    python -m experiments.benchmarks.scale --max=1000       # 3 minutes

What you will see: time and peak memory of each point, measured in a process of its own, as a table and a plot in
results/. Expected: time grows with the product of references and images; memory beyond the embeddings themselves does
not grow, since comparisons go block by block. References and embeddings are noise: only their number matters here.
"""

import json
import time
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from experiments import data, memory, runner
from experiments.benchmarks import race
from experiments.page import machine, write_text

RESULTS = runner.ROOT / "results" / "benchmark_scale.json"
IMAGES, REFERENCES = 100, 100  # of the curves over references, and over images
# curve: (title, largest number)
CURVES = {
    "references euclidean": ("nearest of vectors of 512, Euclidean (paper T)", 100_000),
    "references l1": ("mean of vectors of 4096, L1 and sigmoid unit (paper S)", 100_000),
    "references patches": ("maps of 20 x 20 patches of 512, the Detector's default", 1000),
    "images euclidean": ("nearest of vectors of 512, Euclidean (paper T)", 100_000),
    "images l1": ("mean of vectors of 4096, L1 and sigmoid unit (paper S)", 100_000),
    "images files": ("files to verdicts, custom CNN, 8 references", 10_000),
}


def scored(curve, number):
    """Images of one point of a curve."""
    kind, comparison = curve.split()
    return number if kind == "images" else 8 if comparison == "patches" else IMAGES


def measure(curve, number):
    """One point, a dict: time, the growth of memory while scoring, and the megabytes of the embeddings given."""
    kind, comparison = curve.split()
    references = REFERENCES if kind == "images" else number
    work = _files if comparison == "files" else _embedded
    work, embedded = work(comparison, scored(curve, number), references)
    memory.forget_peak()
    before, begun = memory.peak(), time.perf_counter()
    work()
    seconds, megabytes = time.perf_counter() - begun, memory.peak() - before
    return {"number": number, "seconds": seconds, "megabytes": megabytes, "embeddings": embedded}


def _embedded(comparison, count, references):
    import keras

    from fsad import scoring, siamese

    shape = (20, 20, 512) if comparison == "patches" else ({"l1": 4096, "euclidean": 512}[comparison],)
    distance = {
        "l1": lambda: siamese.distance_head(4096, "l1"),
        "euclidean": lambda: siamese.bare_distance(512),
        "patches": lambda: siamese.patch_distance(shape),
    }[comparison]()
    image, rng = keras.Input(shape), np.random.default_rng(0)
    same = [keras.Model(image, keras.layers.Identity()(image), name=name) for name in ("backbone", "neck")]
    model = siamese.build(*same, distance)
    embeddings, others = (rng.random((n, *shape), np.float32) for n in (count, references))
    megabytes = (embeddings.nbytes + others.nbytes) / 1e6
    if comparison == "patches":
        # As the Detector has it: a batch against all references, each patch with its own nearest.
        return lambda: scoring.compare(model, embeddings, others).score.numpy(), megabytes
    reduction = "min" if comparison == "euclidean" else "mean"
    return lambda: scoring.score(model, embeddings, others, reduction), megabytes


def _files(comparison, count, references):
    from fsad.detector import Detector

    folder = data.resolve("synthetic-metal")
    good = sorted(folder.glob("train/good/*.png"))[:16]
    detector = Detector("senarathna", epochs=1, folds=0).fit(good, str(folder / "test/*/000.png"), progress=False)
    detector = detector.with_runtime("auto")
    paths = [str(path) for path in sorted(folder.glob("test/*/*.png"))]
    paths = (paths * (count // len(paths) + 1))[:count]
    detector.score(paths[:8])
    return lambda: [None for _ in detector.stream(paths)], 0.0


def page(result):
    """The table, in Markdown."""
    lines = [
        "# The cost of scoring, by number",
        "",
        f"Written by `python -m experiments.benchmarks.scale` on {result['machine']}. Against references: "
        f"{IMAGES} images at once (8 for maps of patches); for images: {REFERENCES} references. *Memory*: what "
        "scoring took beyond the embeddings it was given (*embeddings*). Embeddings are noise, files synthetic.",
        "",
        "![time and memory](benchmark_scale.png)",
    ]
    for curve, points in result["curves"].items():
        kind = curve.split()[0]
        lines += ["", f"## {kind.capitalize()}: {CURVES[curve][0]}", ""]
        lines += [f"| {kind} | seconds | ms per image | embeddings | memory |", "| --- | --- | --- | --- | --- |"]
        for p in points:
            each = 1000 * p["seconds"] / scored(curve, p["number"])
            lines.append(f"| {p['number']:,} | {p['seconds']:.3g} | {each:.3g} | {p['embeddings']:,.0f} MB | "
                         f"{p['megabytes']:,.0f} MB |")  # fmt: skip
    return "\n".join(lines) + "\n"


def plot(result):
    """Time per image and memory, over references and over images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for curve, points in result["curves"].items():
        column, numbers = int(curve.startswith("images")), [p["number"] for p in points]
        each = [1000 * p["seconds"] / scored(curve, p["number"]) for p in points]
        axes[0, column].loglog(numbers, each, "o-", label=CURVES[curve][0])
        axes[1, column].semilogx(numbers, [p["megabytes"] for p in points], "o-")
    for column, name in enumerate(("references", "images")):
        axes[0, column].set_ylabel("ms per image")
        axes[1, column].set(xlabel=name, ylabel="memory beyond the embeddings, MB", ylim=(0, None))
        axes[0, column].legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1))
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    figure.suptitle(f"Scoring on {result['machine']}", fontsize=10)
    return figure


def main(_):
    from fsad.explain import overlay

    out, limit = Path(flags.FLAGS.json), flags.FLAGS.max
    result = {"machine": machine(), "curves": {curve: [] for curve in CURVES}}
    data.resolve("synthetic-metal")
    points = [(curve, 10**k) for curve, (_, most) in CURVES.items() for k in range(6) if 10**k <= min(most, limit)]
    for curve, number in tqdm(points, unit="point"):
        result["curves"][curve].append(race.alone(measure, curve, number))
        write_text(out, result, page(result))
    overlay.save(plot(result), out.with_suffix(".png"), dpi=100)
    print(json.dumps(result["machine"]), page(result), sep="\n")


if __name__ == "__main__":
    flags.DEFINE_string("json", str(RESULTS), "file for the figures; a table and a plot beside it")
    flags.DEFINE_integer("max", 100_000, "largest number to measure", lower_bound=1)
    runner.run_main(main)
