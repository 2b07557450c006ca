"""From the runs of Senarathna and Wijesinghe (2025) to cells, sections and pictures."""

import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from experiments import data, senarathna
from experiments.machine import machine
from experiments.tables import Result
from fsad import metrics, scoring

# A part against its anchors. Chosen on synthetic metal, which no table is about (the section of that name in
# results/senarathna_table1_synthetic-metal.md): no reduction ranks better there, and the mean, like the nearest
# anchor, varies less from draw to draw than the first anchor does.
REDUCTION = "mean"
THRESHOLD = 0.5  # the paper's, as far as its counts tell
RATES = ("precision", "recall", "f1", "accuracy", "auroc")
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito


def scores(runs):
    """Results, sections and figures of a table about accuracy."""
    rows = by_row(runs)
    results = {row.key: _result(row, records) for row, records in rows}
    sections = "\n\n".join([_by_kind(rows), _thresholds(rows), _reductions(rows), _saliency(runs)])
    return results, sections, {"confusion": _confusions(rows), "roc": _rocs(rows)}


def costs(runs):
    """Results of a table about time and size; nothing else to show."""
    results = {}
    for row, records in by_row(runs):
        results[row.key] = Result(_costs(records), (*_notes(records), f"Ours on: {machine()}."))
    return results, "", {}


def by_row(runs):
    """``(row, records)`` of each row that has runs, in order."""
    rows = {}
    for run in runs:
        rows.setdefault(run.row.key, (run.row, []))[1].append(run.load()[0])
    return list(rows.values())


def draw_of(record, reduction=REDUCTION, threshold=THRESHOLD):
    """One draw as `fsad.metrics.interval` takes it."""
    cut = record["calibrated"][reduction] if threshold == "calibrated" else threshold
    return draw(record["test"], record["test"][reduction], cut)


def draw(test, scores, threshold):
    """The same from what `experiments.data.told` keeps of test pictures and their scores."""
    labels, groups = np.array(test["label"]), np.array(test["group"])
    return {"labels": labels, "scores": np.array(scores), "groups": groups, "threshold": threshold}


def statistics(labels, scores, threshold):
    """`RATES` of one draw; positive is "same", as the paper counts."""
    rates = metrics.rates(metrics.confusion(labels, scores > threshold), positive="same")
    return [*(rates[k] for k in RATES[:-1]), metrics.auroc(labels, scores)]


def spread(values, interval=None):
    """A cell: mean and standard deviation over the draws where it is defined, and an interval if there is one."""
    values = np.asarray([v for v in values if np.isfinite(v)], float)
    return {
        "mean": float(values.mean()) if len(values) else None,
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "interval": None if interval is None or not np.isfinite(interval).all() else [float(v) for v in interval],
    }


def cells(statistic, keys, draws, resamples=1000):
    """``(cells, values)``: the cell of each key, and the values ``(draws, keys)`` they are made of.

    Args:
        statistic, draws, resamples: as in `fsad.metrics.interval`; ``keys`` names what the statistic returns.
    """
    values = np.array([statistic(d["labels"], d["scores"], d["threshold"]) for d in draws])
    with warnings.catch_warnings():
        # A rate that is defined in no resample has no interval; that is a footnote, not a warning.
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        intervals = metrics.interval(statistic, draws, np.random.default_rng(0), resamples=resamples)
    return {key: spread(values[:, k], intervals[k]) for k, key in enumerate(keys)}, values


def _result(row, records):
    draws = [draw_of(r) for r in records]
    found, values = cells(statistics, RATES, draws)
    found.update(_costs(records))
    notes = _notes(records)
    for key, missing in zip(RATES, (~np.isfinite(values)).sum(0), strict=True):
        if missing:
            notes.append(f"{key.capitalize()} is not defined in {missing} of {len(draws)} (nothing was called same).")
    return Result(found, tuple(notes))


def _costs(records):
    return {
        "latency": spread([r["pair_seconds"] for r in records]),
        "training": spread([r["training_seconds"] for r in records]),
        "size": spread([records[0]["size_megabytes"]]),  # the same in each draw
    }


def _notes(records):
    sizes = [len(r["test"]["label"]) for r in records]
    sizes = str(sizes[0]) if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    many = f"{len(records)} draws" if len(records) > 1 else "1 draw"
    first = records[0]["settings"]
    data_name = Path(first["data"]).name
    notes = [f"{many} of the shots on {data_name}, {first['epochs']} epochs, {sizes} test pictures a draw."]
    asked = first["weights"] == "imagenet" and first["backbone"] != "custom_cnn"
    if asked and any(r["weights_loaded"] == "random" for r in records):
        notes.append("ImageNet weights could not be reached: this backbone started from random weights.")
    return notes


def _table(header, rows):
    return "\n".join("| " + " | ".join(r) + " |" for r in (header, ["---"] * len(header), *rows))


def plus_minus(values, form="{:.3f}"):
    """Mean ± standard deviation of values as text, for the sections below a table."""
    return shown(spread(values), form)


def shown(cell, form="{:.3f}"):
    """The same of a cell; a dash where there is none."""
    if not cell or cell["mean"] is None:
        return "–"
    return form.format(cell["mean"]) + (f" ± {form.format(cell['sd'])}" if cell["sd"] is not None else "")


def by_kind(rows):
    """AUROC by defect type as a section; ``rows``: ``(row, [(test, scores), ...])``, test as `data.told` has it."""
    kinds = sorted({k for _, draws in rows for test, _ in draws for k in test["kind"] if k != "good"})
    lines = ["## AUROC by defect type, against all good test pictures", "", "| | " + " | ".join(kinds) + " |"]
    lines.append("|" + " --- |" * (len(kinds) + 1))
    for row, draws in rows:
        cells = []
        for kind in kinds:
            areas = []
            for test, scores in draws:
                labels, names = np.array(test["label"]), np.array(test["kind"])
                chosen = (labels == 0) | (names == kind)
                areas.append(metrics.auroc(labels[chosen], np.array(scores)[chosen]))
            cells.append(plus_minus(areas))
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_kind(rows):
    kinds = sorted({k for _, records in rows for r in records for k in r["test"]["kind"]} - {"good"})
    lines = []
    for kind in kinds:
        line = [kind]
        for _, records in rows:
            values, count = [], 0
            for record in records:
                d, here = draw_of(record), np.array(record["test"]["kind"]) == kind
                count += here.sum()
                chosen = here | (d["labels"] == 0)
                values.append(metrics.auroc(d["labels"][chosen], d["scores"][chosen]))
            line.append(f"{plus_minus(values)} (n = {count})")
        lines.append(line)
    head = "## AUROC by defect type\n\nEach type against all good test pictures; n counts pictures over all draws.\n\n"
    return head + _table(["", *(row.title for row, _ in rows)], lines)


def _thresholds(rows):
    lines = []
    for row, records in rows:
        for name, threshold in (("0.5", THRESHOLD), ("calibrated", "calibrated")):
            found = [_at_threshold(draw_of(record, threshold=threshold)) for record in records]
            lines.append([row.title, name, *(plus_minus(values) for values in zip(*found, strict=True))])
    head = (
        "## Threshold\n\n0.5 as in the paper, and one calibrated on the training pictures alone. Here positive means "
        "defective.\n\n"
    )
    return head + _table(["", "threshold", "value", "missed defects", "false alarms", "F1", "accuracy"], lines)


def _at_threshold(draw):
    counts = metrics.confusion(draw["labels"], draw["scores"] > draw["threshold"])
    rates = metrics.rates(counts)
    missed = counts["fn"] / (counts["tp"] + counts["fn"])
    false_alarms = counts["fp"] / (counts["fp"] + counts["tn"])
    return draw["threshold"], missed, false_alarms, rates["f1"], rates["accuracy"]


def _reductions(rows):
    lines = [
        [row.title]
        + [
            plus_minus([metrics.auroc(d["labels"], d["scores"]) for d in (draw_of(r, how) for r in records)])
            for how in scoring.REDUCTIONS
        ]
        for row, records in rows
    ]
    head = (
        "## A part against its anchors\n\nAUROC with the mean over the anchors, the nearest anchor, the first one.\n\n"
    )
    return head + _table(["", *scoring.REDUCTIONS], lines)


def _saliency(runs):
    found = {}
    for run in runs:
        record, arrays = run.load()
        if record.get("saliency", {}).get("pictures"):
            summary = record["saliency"]
            line = (
                summary["pixel_auroc"],
                position_auroc(run, record, arrays),
                summary["pictures"],
                summary["without_mask"],
            )
            found.setdefault(run.row.title, []).append(line)
    lines = []
    for title, values in found.items():
        own, position, pictures, left_out = zip(*values, strict=True)
        lines.append([title, plus_minus(own), plus_minus(position), str(sum(pictures)), str(sum(left_out))])
    if not lines:
        return ""
    head = (
        "## Saliency against the defect masks\n\nPixel AUROC within a picture, mean over the defective test pictures; "
        "0.5 is chance. Beside it that of one map for all, the mean map of the run: what the network's habit of "
        "looking at some places is worth without looking at the picture.\n\n"
    )
    header = ["", "pixel AUROC", "of the mean map", "pictures", "left out, no mask at this size"]
    return head + _table(header, lines)


def position_auroc(run, record, arrays):
    """Pixel AUROC of the mean saliency map of a run, as the maps themselves are judged."""
    dataset, mean = data.load(run.settings["data"]), arrays["maps"].mean(0)
    masks = {s.path.relative_to(dataset.folder).as_posix(): s for s in dataset.samples}
    found = []
    for row in arrays["rows"]:
        mask = senarathna.mask_at(masks[record["test"]["path"][row]], len(mean))
        if mask is not None:
            found.append(metrics.auroc(mask.ravel().astype(int), mean.ravel()))
    return float(np.mean(found))


def _confusions(rows):
    figure = Figure(figsize=(2.9 * len(rows) + 0.5, 4.0), layout="constrained")
    axes = figure.subplots(1, len(rows), squeeze=False)[0]
    for axis, (row, records) in zip(axes, rows, strict=True):
        found = [metrics.confusion(d["labels"], d["scores"] > d["threshold"]) for d in map(draw_of, records)]
        total = {k: sum(c[k] for c in found) for k in found[0]}
        matrix = np.array([[total["tn"], total["fp"]], [total["fn"], total["tp"]]])
        share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for i in range(2):
            for j in range(2):
                color = "white" if share[i, j] > 0.6 else "black"
                axis.text(j, i, f"{matrix[i, j]}\n{share[i, j]:.0%}", ha="center", va="center", color=color)
        axis.set_xticks([0, 1], ["same", "different"])
        axis.set_yticks([0, 1], ["good", "defective"], rotation=90, va="center")
        axis.set_xlabel("verdict at 0.5")
        axis.set_title(f"{row.title} ({len(records)} draw{'s' if len(records) > 1 else ''})", fontsize=10)
    axes[0].set_ylabel("picture")
    figure.suptitle(f"Verdicts on {_data(rows)}", fontsize=11)
    return figure


def _rocs(rows):
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
    for (row, records), color in zip(rows, _COLORS, strict=False):
        areas = []
        for d in map(draw_of, records):
            false, true, _ = roc_curve(d["labels"], d["scores"])
            areas.append(metrics.auroc(d["labels"], d["scores"]))
            axis.plot(false, true, color=color, alpha=0.9 if len(records) == 1 else 0.55, linewidth=1.5)
        axis.plot([], [], color=color, label=f"{row.title}: {plus_minus(areas)}")
    axis.set_xlabel("false alarms among good pictures")
    axis.set_ylabel("detected among defective pictures")
    axis.set_aspect("equal")
    axis.legend(title="AUROC, one line a draw", loc="lower right", fontsize=9)
    axis.set_title(f"ROC on {_data(rows)}", fontsize=11)
    return figure


def _data(rows):
    names = {}
    for record in (r for _, records in rows for r in records):
        name = record["data"].split(":")[0]
        drawn = name.startswith("synthetic pictures, ")
        names[name.removeprefix("synthetic pictures, ") + (" (synthetic)" if drawn else "")] = True
    return ", ".join(names)
