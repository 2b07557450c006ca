"""From the runs of Senarathna and Wijesinghe (2025) to cells, sections and figures."""

from pathlib import Path

import numpy as np
from absl import flags
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay, roc_curve

from experiments import statistics
from experiments.page import Result, machine
from experiments.runs import by_row
from experiments.senarathna.run import RATES, rates
from experiments.statistics import plus_minus, section, spread
from fsad import metrics, scoring
from fsad.recipes.senarathna import PAIRINGS

flags.DEFINE_enum("pairing", None, [*PAIRINGS], "the k-th anchor with the k-th of the others, or each with each")
# Of the dissimilarities of an image to its anchors. Chosen on synthetic metal, which no table is about
# (results/senarathna_table1_synthetic-metal.md): no reduction ranks better there, and the mean, like the nearest
# anchor, varies less from draw to draw than the first anchor does.
REDUCTION = "mean"
THRESHOLD = 0.5  # the paper's, as far as its counts tell
KEYS = (*RATES, "auroc")
HIDDEN = ("normalise", "split_pairs")  # of the leak study alone


def scores(runs):
    """Results, sections and figures of a table about accuracy."""
    rows = by_row(runs)
    titled = [(row.title, record) for row, records in rows for record in records]
    draws = [(row, [(r["test"], r["test"][REDUCTION]) for r in records]) for row, records in rows]
    sections = [
        section(
            "Both positive classes",
            "At 0.5. The paper praises recall because missing an anomaly has a high cost, so positive should mean "
            "defective; its counts fit positive = same, as above. AUROC is the same for both. Beside it that of a rule "
            "on six colour numbers (mean and deviation of R, G, B), fitted to the same training images.",
            [{"": title, **line} for title, record in titled for line in _both_ways(record)],
            names=2,
        ),
        statistics.by_kind(draws),
        section(
            "Threshold",
            "0.5, which the paper's counts fit, and one calibrated on the training images alone. Here positive means "
            "defective.",
            [{"": title, **line} for title, record in titled for line in _at_thresholds(record)],
            names=2,
        ),
        section(
            "An image against its anchors",
            "AUROC with the mean over the anchors, the nearest anchor, the first one.",
            [{"": title, **{how: _auroc(record, how) for how in scoring.REDUCTIONS}} for title, record in titled],
        ),
        section(
            "Saliency against the defect masks",
            "Pixel AUROC within an image, mean over the defective test images; 0.5 is chance. Beside it that of one "
            "map for all, the mean map of the run: what a preference for some places is worth without the image.",
            [
                {"": title, "pixel AUROC": maps["pixel_auroc"], "of the mean map": maps["mean_map"]}
                for title, maps in ((title, record.get("saliency")) for title, record in titled)
                if maps
            ],
        ),
    ]
    results = {row.key: _result(records) for row, records in rows}
    return results, "\n\n".join(filter(None, sections)), {"confusion": _confusions(rows), "roc": _rocs(rows)}


def costs(runs):
    """Results of a table about time and size."""
    where = f"Ours on: {machine()}."
    return {row.key: Result(_costs(r), (_note(r), where)) for row, r in by_row(runs)}, "", {}


def draw_of(record, reduction=REDUCTION, threshold=THRESHOLD):
    """The test of a record as one draw."""
    return statistics.draw(record["test"], record["test"][reduction], threshold)


def _auroc(record, reduction=REDUCTION):
    return metrics.auroc(record["test"]["label"], record["test"][reduction])


def _result(records):
    def statistic(labels, scores, threshold):
        return [*rates(labels, scores, threshold), metrics.auroc(labels, scores)]

    cells, values = statistics.cells(statistic, KEYS, list(map(draw_of, records)))
    undefined = dict(zip(KEYS, np.isnan(values).sum(0), strict=True))
    notes = [f"{k.capitalize()} is undefined in {n} of {len(records)} (nothing was called same)."
             for k, n in undefined.items() if n]  # fmt: skip
    return Result({**cells, **_costs(records)}, (_note(records), *notes))


def _costs(records):
    return {
        "latency": spread(record["pair_seconds"] for record in records),
        "training": spread(record["training_seconds"] for record in records),
        "size": spread([records[0]["size_megabytes"]]),  # the same in each draw
    }


def _note(records):
    sizes = sorted({len(record["test"]["label"]) for record in records})
    first, draws = records[0]["settings"], f"{len(records)} draw{'s' if len(records) > 1 else ''}"
    return (
        f"{draws} of the shots on {Path(first['data']).name}, {first['epochs']} epochs, "
        f"{' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} test images per draw."
    )


def _both_ways(record):
    labels, different = np.array(record["test"]["label"]), np.array(record["test"][REDUCTION]) > THRESHOLD
    for name, truth, called in (("same", labels == 0, ~different), ("defective", labels == 1, different)):
        values = metrics.rates(metrics.confusion(truth, called))
        shown = {key: values[key] for key in RATES[:3]}
        yield {"positive": name, **shown, "AUROC": _auroc(record), "AUROC, six colours": _auroc(record, "colours")}


def _at_thresholds(record):
    for name, threshold in (("0.5", THRESHOLD), ("calibrated", record["calibrated"][REDUCTION])):
        counts = metrics.confusion(record["test"]["label"], np.array(record["test"][REDUCTION]) > threshold)
        defective = metrics.rates(counts)
        yield {
            "threshold": name,
            "value": threshold,
            "missed defects": 1 - defective["recall"],
            "false alarms": counts["fp"] / (counts["fp"] + counts["tn"]),
            "F1": defective["f1"],
            "accuracy": defective["accuracy"],
        }


def _confusions(rows):
    figure = Figure(figsize=(2.9 * len(rows) + 0.5, 4.0), layout="constrained")
    for axis, (row, records) in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        labels = np.concatenate([record["test"]["label"] for record in records])
        different = np.concatenate([record["test"][REDUCTION] for record in records]) > THRESHOLD
        ConfusionMatrixDisplay.from_predictions(labels, different, cmap="Blues", colorbar=False, ax=axis)
        axis.set_xticks([0, 1], ["same", "different"])
        axis.set_yticks([0, 1], ["good", "defective"], rotation=90, va="center")
        axis.set(xlabel="verdict at 0.5", ylabel="", title=f"{row.title}, draws: {len(records)}")
    figure.suptitle(f"Verdicts on {_data(rows)}", fontsize=11)
    return figure


def _rocs(rows):
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axis = figure.subplots()
    for number, (row, records) in enumerate(rows):
        name = f"{row.title}: {plus_minus(map(_auroc, records))}"
        for k, record in enumerate(records):
            label, style = None if k else name, {"color": f"C{number}", "alpha": 0.6}
            axis.plot(*roc_curve(record["test"]["label"], record["test"][REDUCTION])[:2], label=label, **style)
    axis.plot([0, 1], [0, 1], ":", color="0.6")
    axis.set(xlabel="false alarms among good images", ylabel="detected among defective images", aspect="equal")
    axis.legend(title="AUROC, one line per draw", loc="lower right", fontsize=9)
    axis.set_title(f"ROC on {_data(rows)}", fontsize=11)
    return figure


def _data(rows):
    return ", ".join(dict.fromkeys(record["data"].split(":")[0] for _, records in rows for record in records))
