"""What a detector learns from its first twenty mistakes.

    python -m experiments.ablations.corrections                         # 20 minutes on two cores
    python -m experiments.ablations.corrections --rows=magnetic_tile

What you will see: detectors fitted to 8 good images and no defective one; a stream of parts, as many good as defective,
goes by in random order, and each false alarm and each miss is corrected at once (`fsad.Detector.learn`), up to 20 of
them. AUROC and F1 on parts that were never fed, before, after 5, 10 and all corrections, and after learning as many
parts of the stream at random. A row for each data set.
Expected: F1 rises most where misses come first, since the threshold of good images alone misses much; mistakes teach
the ranking less than parts at random do, or as much.
"""

import numpy as np

import fsad
from experiments import data, runner, statistics
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from fsad import metrics

STEPS = (0, 5, 10, 20)  # corrections
AHEAD = 8  # images of the stream that are scored at a time
SETS = ("magnetic_tile", "kolektorsdd", "aws_alien", "elpv_mono")

COLUMNS = (
    *(Column(f"auroc_{n}", f"AUROC, {n} corrections") for n in (0, 20)),
    Column("auroc_random", "20 at random"),
    *(Column(f"f1_{n}", f"F1, {n} corrections") for n in STEPS),
    Column("f1_random", "20 at random"),
    Column("corrections", "Corrections", "{:.0f}"),
    Column("misses", "of them misses", "{:.0f}"),
    Column("seen", "Parts gone by", "{:.0f}"),
)

TABLE = Table(
    name="study_corrections",
    title="Learning from mistakes: 8 good images, then the first 20 mistakes on a stream",
    columns=COLUMNS,
    rows=tuple(Row(name, name, {"data": name}, draws=3) for name in SETS),
    settings={
        "data": SETS[0],
        "backbone": "mobilenet",
        "weights": "imagenet",
        "anchors": 8,
        "good": 0,
        "defective": 0,
        "hold_out": None,
        "test_per_class": 120,
        "epochs": 1,
    },
    hidden_settings=("epochs", "precision"),
    notes=(
        "The stream holds as many good as defective parts, a random half of those outside the fit; the other half is "
        "tested on. 20 at random: as many parts of the stream as were corrected, drawn at random, learned at once.",
    ),
)


def train(settings, on_epoch=lambda loss: None):
    """One data set and draw, as `experiments.runner` calls it."""
    dataset = data.labelled(data.of(settings))
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    stream, held_out = halves(shots.test, rng)
    detector = fsad.Detector(group_pattern=settings["group_pattern"], seed=settings["seed"])
    detector.fit([str(s.path) for s in shots.anchors], progress=False)
    start, records = detector.fitted, {0: scored(detector, held_out)}
    fed, left = [], list(stream)
    while left and len(fed) < STEPS[-1]:
        batch = left[:AHEAD]
        wrong = np.flatnonzero((detector.score(paths(batch)) > detector.threshold.value) != labels(batch))
        if not len(wrong):
            left = left[AHEAD:]
            continue
        mistake, left = batch[wrong[0]], left[wrong[0] + 1 :]
        learn(detector, [mistake])
        fed.append(mistake)
        if len(fed) in STEPS:
            records[len(fed)] = scored(detector, held_out)
    records[STEPS[-1]] = scored(detector, held_out)  # which may be fewer
    detector.fitted = start
    detector._scorer = None
    learn(detector, [stream[k] for k in rng.permutation(len(stream))[: len(fed)]])
    on_epoch(float("nan"))
    return {
        "data": data.describe(dataset, settings),
        "test": data.test_fields(held_out, dataset),
        "fed": data.test_fields(fed, dataset),
        "seen": len(stream) - len(left),
        "steps": {str(n): record for n, record in records.items()},
        "random": scored(detector, held_out),
    }, {}


def halves(samples, rng):
    """Two halves by part, each in random order."""
    groups = rng.permutation(sorted({s.group for s in samples}))
    first = set(groups[: len(groups) // 2].tolist())
    order = [samples[k] for k in rng.permutation(len(samples))]
    return [s for s in order if s.group in first], [s for s in order if s.group not in first]


def learn(detector, samples):
    given = {
        name: [str(s.path) for s in samples if s.label == label] or None for name, label in (("good", 0), ("defect", 1))
    }
    detector.learn(**given, progress=False)


def scored(detector, samples):
    """Scores of samples and the threshold, as a record holds them."""
    return {"scores": detector.score(paths(samples)).tolist(), "threshold": detector.threshold.value}


def paths(samples):
    return [str(s.path) for s in samples]


def labels(samples):
    return np.array([bool(s.label) for s in samples])


def report(runs):
    """Results by data set."""
    results = {}
    for row, records in by_row(runs):
        values = {}
        for record in records:
            truth = np.array(record["test"]["label"])
            for name, step in (*record["steps"].items(), ("random", record["random"])):
                scores = np.array(step["scores"])
                rates = metrics.rates(metrics.confusion(truth, scores > step["threshold"]))
                values.setdefault(f"auroc_{name}", []).append(metrics.auroc(truth, scores))
                values.setdefault(f"f1_{name}", []).append(rates["f1"])
            values.setdefault("corrections", []).append(len(record["fed"]["label"]))
            values.setdefault("misses", []).append(sum(record["fed"]["label"]))
            values.setdefault("seen", []).append(record["seen"])
        tested = " or ".join(map(str, sorted({len(r["test"]["label"]) for r in records})))
        note = f"{len(records)} draws, {tested} test images per draw; {records[0]['data']}."
        cells = {key: statistics.spread(numbers) for key, numbers in values.items()}
        results[row.key] = Result(cells, (note,))
    return results, "", {}


if __name__ == "__main__":
    runner.main(TABLE, train, report)
