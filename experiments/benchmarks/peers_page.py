"""Lines and ratios of the page of `experiments.benchmarks.peers`."""

import numpy as np

from experiments import statistics
from fsad import metrics

NAMES = {
    "patchcore": "anomalib's PatchCore",
    "openvino": "the same, its OpenVINO inferencer",
    "pytorch": "PyTorch: the same without a coreset",
    "keras": "plain Keras: predict, scikit-learn's nearest neighbours",
    "fsad same": "fsad, saved, that network and side",
    "fsad default": "fsad, saved, the default",
}


def line(name, contender, results):
    """A line of the table, from ``(job, result)`` of each draw."""
    cells = {
        "auroc": statistics.spread([metrics.auroc(np.array(d["fields"]["label"]), r["scores"]) for d, r in results])
    }
    if all(r["threshold"] is not None for _, r in results):
        draws = [statistics.draw(drawn["fields"], r["scores"], r["threshold"]) for drawn, r in results]
        cells = statistics.cells(statistics.detection, statistics.DETECTION, draws)[0]

    def median(key):
        return float(np.median([r[key] for _, r in results if key in r] or [np.nan]))

    return {
        "data": name,
        "": NAMES[contender],
        "AUROC": statistics.shown(cells["auroc"]),
        "F1": statistics.shown(cells.get("f1")),
        "fit": f"{median('fit_seconds'):.1f} s",
        "one image": f"{median('milliseconds'):.0f} ms",
        "images/s": f"{median('rate'):.1f}",
        "memory, fit": _gigabytes(median("fit_megabytes")),
        "memory, scoring": _gigabytes(median("megabytes")),
        "start to first score": f"{median('start_seconds'):.1f} s" if np.isfinite(median("start_seconds")) else "–",
    }


def _gigabytes(megabytes):
    return f"{megabytes / 1000:.2f} GB" if np.isfinite(megabytes) else "–"


def ratios(results):
    """How many times less fsad takes than PatchCore by the same network: median over data sets and draws."""
    times = {}
    for key in ("fit_seconds", "milliseconds", "fit_megabytes", "start_seconds"):
        times[key] = float(np.median([
            other[1][key] / ours[1][key]
            for by in results.values()
            for other, ours in zip(by["patchcore"], by["fsad same"], strict=True)
        ]))  # fmt: skip
    return times
