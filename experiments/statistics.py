"""From the scores of a table's runs to its cells and to the sections below it."""

import warnings

import numpy as np
import pandas as pd

from fsad import metrics

DETECTION = ("auroc", "f1", "f1_max")  # what `detection` gives


def draw(test, scores, threshold):
    """One draw as `fsad.metrics.interval` takes it, from `experiments.data.test_fields` and the scores ``(n,)``."""
    labels, groups = np.array(test["label"]), np.array(test["group"])
    return {"labels": labels, "scores": np.array(scores), "groups": groups, "threshold": threshold}


def spread(values, interval=None):
    """A cell: ``mean`` and sample standard deviation ``sd`` of the values that are defined, and the ``interval``; None
    where undefined."""
    values = np.asarray([*values], float)
    values = values[np.isfinite(values)]
    return {
        "mean": float(values.mean()) if len(values) else None,
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "interval": None if interval is None or not np.isfinite(interval).all() else [float(v) for v in interval],
    }


def cells(statistic, keys, draws, resamples=1000):
    """``(cells, values)``: the cell of each key, and the values ``(draws, keys)`` that it sums up.

    Args:
        statistic, draws, resamples: as in `fsad.metrics.interval`.
        keys: names of what ``statistic`` returns.
    """
    values = np.array([statistic(d["labels"], d["scores"], d["threshold"]) for d in draws])
    with warnings.catch_warnings():
        # A rate that is undefined in every resample has no interval, and its cell shows none.
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        intervals = metrics.interval(statistic, draws, np.random.default_rng(0), resamples=resamples)
    return {key: spread(values[:, k], intervals[k]) for k, key in enumerate(keys)}, values


def detection(labels, scores, threshold):
    """AUROC, F1 at a threshold, and F1 at the best one; a statistic of `cells`."""
    rates = metrics.rates(metrics.confusion(labels, scores > threshold))
    return metrics.auroc(labels, scores), rates["f1"], metrics.f1_max(labels, scores)


def shown(cell, form="{:.3f}"):
    """A cell as text, mean ± standard deviation; a dash where there is none."""
    if not cell or cell["mean"] is None:
        return "–"
    return form.format(cell["mean"]) + (f" ± {form.format(cell['sd'])}" if cell["sd"] is not None else "")


def plus_minus(values, form="{:.3f}"):
    """Values as text, mean ± standard deviation."""
    return shown(spread(values), form)


def markdown(frame):
    """A DataFrame of strings as a markdown table, without its index."""
    lines = [[*frame.columns], ["---"] * frame.shape[1], *frame.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def section(title, text, measured, names=1):
    """A section below a table, with mean ± standard deviation over the draws; empty if nothing was measured.

    Args:
        measured: a dict for each draw, by column; None where undefined.
        names: how many of the columns, the first ones, name a line.
    """
    if not measured:
        return ""
    frame = pd.DataFrame(measured)
    frame = frame.groupby([*frame.columns[:names]], sort=False, as_index=False).agg(plus_minus)
    return f"## {title}\n\n{text}\n\n{markdown(frame)}"


def by_kind(rows):
    """The section on AUROC by defect type.

    Args:
        rows: ``(row, draws)`` of each row of a table; a draw is ``(test, scores)`` as in `draw`.
    """
    kinds, measured = sorted({k for _, draws in rows for test, _ in draws for k in test["kind"]} - {"good"}), []
    for row, draws in rows:
        for test, scores in draws:
            frame = pd.DataFrame({"label": test["label"], "kind": test["kind"], "score": scores})
            parts = {kind: frame[(frame.label == 0) | (frame.kind == kind)] for kind in kinds}
            measured.append({"": row.title, **{k: metrics.auroc(part.label, part.score) for k, part in parts.items()}})
    return section("AUROC by defect type", "Each type against all good test images.", measured)


def localisation(maps, area):
    """How well maps ``(n, h, w)`` find the defects; None if no image has a mask.

    Args:
        area: ``(map, k) -> pixel AUROC`` of a map against the mask of the k-th image, None without one.

    Returns:
        ``pixel_auroc``, the mean over the ``images`` with a mask; ``mean_map``, that of the mean of all maps, which
        knows nothing of the image at hand: what the maps have beyond it is attention to the defect.
    """
    areas = [[area(one, k) for one in (anomaly_map, maps.mean(0))] for k, anomaly_map in enumerate(maps)]
    areas = [both for both in areas if None not in both]
    if not areas:
        return None
    own, mean_map = np.mean(areas, axis=0).tolist()
    return {"pixel_auroc": own, "mean_map": mean_map, "images": len(areas)}
