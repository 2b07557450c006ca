"""From the runs of Takimoto et al. (2022) to cells, and what was found beyond the paper."""

import numpy as np

from experiments import reports, takimoto
from experiments.tables import Result
from fsad import metrics, training


def _draws(records, name, score):
    return [
        {
            "labels": np.array(r["test"]["label"]),
            "scores": np.array(r["test"][name][score]),
            "groups": np.array(r["test"]["group"]),
            "threshold": 0.0,
        }
        for r in records
    ]


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
        draws = _draws(records, name, score)
        values = np.array([statistic(d["labels"], d["scores"], d["threshold"]) for d in draws])
        intervals = metrics.interval(statistic, draws, np.random.default_rng(0), resamples=500)
        out |= {key: reports.spread(values[:, k], intervals[k]) for k, key in enumerate(keys)}
    return out


def report(runs):
    """Results by row; what else was found: both embeddings, attention as a localiser, the margin."""
    records, results = {}, {}
    for run in runs:
        records.setdefault(run.row.key, (run.row, []))[1].append(run.load()[0])
    lines = [
        "## Beyond the paper",
        "Both: judged by output-1 and output-2 together, the paper's future work. Attention: pixel AUROC of the "
        "attention map against the masks of the defective pictures, beside that of the mean map, which knows nothing "
        "of the picture.",
        "| | AUC, both | Accuracy, both | attention | mean map | margin |\n|" + " --- |" * 6,
    ]
    for key, (row, found) in records.items():
        first = found[0]["settings"]
        counts = sorted({(r["test"]["label"].count(0), r["test"]["label"].count(1)) for r in found})
        tested = " or ".join(f"{normal} + {abnormal}" for normal, abnormal in counts)
        size = first["step"] or training.STEP[first["batching"]]
        note = (
            f"{len(found)} runs, {first['backbone']} from {found[0]['weights_loaded']} weights, {first['normal']} + "
            f"{first['abnormal']} training pictures, {first['epochs']} epochs, {size} {first['batching']} a step, "
            f"Adam at {first['learning_rate']:g}, {tested} test pictures (normal + abnormal)."
        )
        results[key] = Result(cells(found), (note,))
        both = cells(found, "both") if "both" in found[0]["test"] else {}
        shown = [_shown(both.get("auc")), _shown(both.get("accuracy"))]
        for name in ("pixel_auroc", "mean_map"):
            shown.append(_shown(reports.spread([r["attention"][name] for r in found if r["attention"]])))
        shown += [f"{np.mean([r['margin'] for r in found]):.2f}"]
        lines[-1] += f"\n| {row.title} | " + " | ".join(shown) + " |"
    return results, "\n\n".join(lines), {}


def _shown(cell):
    if not cell or cell["mean"] is None:
        return "–"
    return f"{cell['mean']:.3f}" + ("" if cell["sd"] is None else f" ± {cell['sd']:.3f}")
