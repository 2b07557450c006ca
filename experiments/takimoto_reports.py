"""From the runs of Takimoto et al. (2022) to cells, and what was found beyond the paper."""

import numpy as np

from experiments import reports, takimoto
from experiments.tables import Result
from fsad import metrics, training


def _nearest(labels, scores, threshold):
    """Accuracy, recall of the normal, specificity of the abnormal; a margin above 0 is called abnormal."""
    called = scores > threshold
    return [np.mean(called == labels), *(np.mean((called == labels)[labels == value]) for value in (0, 1))]


def _auc(labels, scores, _):
    return [metrics.auroc(labels, scores)]


def cells(records, name="output_1"):
    """The four cells of a row."""
    out = {}
    for score, statistic, keys in (("centroid", _auc, takimoto.KEYS[:1]), ("nearest", _nearest, takimoto.KEYS[1:])):
        draws = [reports.draw(r["test"], r["test"][name][score], 0.0) for r in records]
        out |= reports.cells(statistic, keys, draws, resamples=500)[0]
    return out


def report(runs):
    """Results by row; what else was found: both embeddings, attention as a localiser, the margin."""
    results = {}
    lines = [
        "## Beyond the paper",
        "Both: judged by output-1 and output-2 together, the paper's future work. Attention: pixel AUROC of the "
        "attention map against the masks of the defective pictures, beside that of the mean map, which knows nothing "
        "of the picture.",
        "| | AUC, both | Accuracy, both | attention | mean map | margin |\n|" + " --- |" * 6,
    ]
    for row, found in reports.by_row(runs):
        first = found[0]["settings"]
        counts = sorted({(r["test"]["label"].count(0), r["test"]["label"].count(1)) for r in found})
        tested = " or ".join(f"{normal} + {abnormal}" for normal, abnormal in counts)
        size = first["step"] or training.STEP[first["batching"]]
        note = (
            f"{len(found)} runs, {first['backbone']} from {found[0]['weights_loaded']} weights, {first['normal']} + "
            f"{first['abnormal']} training pictures, {first['epochs']} epochs, {size} {first['batching']} a step, "
            f"Adam at {first['learning_rate']:g}, {tested} test pictures (normal + abnormal)."
        )
        results[row.key] = Result(cells(found), (note,))
        both = cells(found, "both") if "both" in found[0]["test"] else {}
        shown = [reports.shown(both.get("auc")), reports.shown(both.get("accuracy"))]
        for name in ("pixel_auroc", "mean_map"):
            shown.append(reports.plus_minus([r["attention"][name] for r in found if r["attention"]]))
        shown += [f"{np.mean([r['margin'] for r in found]):.2f}"]
        lines[-1] += f"\n| {row.title} | " + " | ".join(shown) + " |"
    return results, "\n\n".join(lines), {}
