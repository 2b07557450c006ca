"""From the runs of Livieris et al. (2023) to cells, and what cropping changed."""

import numpy as np

from experiments import livieris, reports
from experiments.machine import machine
from experiments.tables import Result
from fsad import metrics

THRESHOLD = 0.5  # the paper's
KEYS = tuple(column.key for column in livieris.COLUMNS)


def statistics(labels, scores, threshold):
    """`KEYS` of one set of pairs.

    Precision and recall are the mean over both verdicts: only so does recall equal accuracy, as it does in the first
    printed row (0.872 and 87.15 %; in the second, 0.880 and 88.31 %, nearly). The AUC of the verdicts, zeros and ones,
    is what the public code computes.
    """
    verdicts = scores > threshold
    counts = metrics.confusion(labels, verdicts)
    both = [metrics.rates(counts, positive) for positive in ("different", "same")]
    precision, recall = (np.mean([rates[name] for rates in both]) for name in ("precision", "recall"))
    return [
        both[0]["accuracy"],
        metrics.auroc(labels, verdicts.astype(float)),
        precision,
        recall,
        metrics.auroc(labels, scores),
    ]


def way_of(row):
    """How the pictures of a row are cropped: a member of `experiments.livieris.WAYS`."""
    return next((way for way in livieris.WAYS if row.key.endswith(way)), "original")


def report(runs):
    """Results by row, and sections on what cropping changed and where the maps lie."""
    results, sets = {}, {}
    for row, records in reports.by_row(runs):
        way = way_of(row)
        draws = [reports.draw(r["test"], r["test"][way], THRESHOLD) for r in records]
        results[row.key] = Result(reports.cells(statistics, KEYS, draws, resamples=500)[0], (_note(records),))
        if way == "original":
            sets[row.title.split(":")[0]] = records
    return results, "\n\n".join([_changes(sets), _where(sets)]), {}


def _note(records):
    first = records[0]["settings"]
    tested = " or ".join(map(str, sorted({len(r["test"]["label"]) for r in records})))
    how = "frozen, features computed once" if first["frozen"] else "trained throughout"
    return (
        f"{len(records)} splits, {first['backbone']} from {records[0]['weights_loaded']} weights, {how}, "
        f"{records[0]['side']} px, {first['batch_size']} pairs a step, Adam at {first['learning_rate']:g}, at most "
        f"{first['epochs']} epochs, {tested} test pairs."
        + " Frozen random features are nearly alike for all pictures, so there is nothing to be learnt: see --weights, "
        "FSAD_WEIGHTS_DIR, --nofrozen." * (first["frozen"] and records[0]["weights_loaded"] == "random")
    )


def _changes(sets):
    ways = livieris.WAYS[1:]
    lines = [
        "## What cropping changes",
        "Difference to the uncropped pictures, on the same test pairs, mean ± standard deviation over the splits. Cut: "
        "share of the pictures that were similar enough to their partner; kept: mean area of the boxes of the test "
        "pictures.",
        "| | | accuracy | AUC of scores | cut, training | cut, test | kept | epochs |\n|" + " --- |" * 8,
    ]
    for title, records in sets.items():
        for way in ways:
            differences = []
            for record in records:
                labels = np.array(record["test"]["label"])
                ours, whole = (
                    statistics(labels, np.array(record["test"][name]), THRESHOLD) for name in (way, "original")
                )
                differences.append((ours[0] - whole[0], ours[4] - whole[4]))
            shown = [_signed(column) for column in zip(*differences, strict=True)]
            cut = [record["cut"][way]["test"] for record in records]
            for part in ("training", "test"):
                counts = [record["cut"][way][part] for record in records]
                shown.append(f"{np.mean([c['pictures'] / c['of'] for c in counts]):.0%}")
            areas = [c["area"] for c in cut if c["area"] is not None]
            shown.append(f"{np.mean(areas):.0%}" if areas else "–")
            counts = [len(r["trained"][way]["losses"]) for r in records if way in r["trained"]]
            before = np.mean([len(r["trained"]["original"]["losses"]) for r in records])
            shown.append(f"{np.mean(counts):.0f} (uncropped {before:.0f})" if counts else "–")
            lines[-1] += f"\n| {title} | {way} | " + " | ".join(shown) + " |"
    seconds = [
        f"{title} {np.mean([sum(t['seconds'] for t in r['trained'].values()) for r in records]):.0f} s"
        for title, records in sets.items()
    ]
    lines.append(
        f"The three trainings of a split, features included: {', '.join(seconds)}, on {machine()}, by the clock: what "
        "else ran there is in it."
    )
    return "\n\n".join(lines)


def _signed(values):
    text = f"{np.mean(values):+.3f}"
    return text + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def _where(sets):
    measured = {title: [r["located"] for r in records if r["located"]] for title, records in sets.items()}
    if not any(measured.values()):
        return ""
    names = ("factual", "counterfactual", "magnitude", "mean_map", *(f"box_{way}" for way in livieris.WAYS[1:]))
    lines = [
        "## Where the maps lie",
        "For data sets with masks of the object (the synthetic flowers): pixel AUROC of the maps of the test pictures, "
        "compared with a picture of their class, against the mask of the blossom; that of the mean of the magnitudes, "
        "which knows nothing of the picture; and intersection over union of the boxes, of pictures that were cut, with "
        "that of the mask.",
        "| | factual | counterfactual | magnitude | mean map | box, cropped | magnitude | blind |\n|" + " --- |" * 8,
    ]
    for title, found in measured.items():
        if found:
            lines[-1] += f"\n| {title} | " + " | ".join(_mean(found, name) for name in names) + " |"
    return "\n\n".join(lines)


def _mean(found, name):
    return reports.plus_minus([f[name] for f in found if f[name] is not None])
