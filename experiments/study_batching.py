"""Pairs or pictures a step? What the two batchings of Takimoto et al. (2022) cost, and what they reach.

    python -m experiments.study_batching --data=magnetic_tile --backbone=mobilenet --side=128 --learning_rate=1e-4 \\
        --test_per_class=0

What you will see: method III behind the tenth convolution, experiment A, trained three ways: one epoch of 16 pairs a
step, as the paper has it; eight epochs of 40 pictures a step, all pairs among them; and as many epochs of those as
pass through the network as often as the one. All three see each pair once an epoch.
"""

import dataclasses

import numpy as np

from experiments import reports, study, study_margin, takimoto, takimoto_reports
from experiments.machine import machine
from experiments.tables import Row
from fsad import pairs, training

TABLE = dataclasses.replace(
    study_margin.TABLE,  # method III behind the tenth convolution, experiment A
    name="study_batching",
    title="Pairs or pictures a step",
    rows=(
        Row("pairs", "16 pairs, 1 epoch", {"batching": "pairs", "epochs": 1}, {}, draws=3),
        Row("pictures", "40 pictures, 8 epochs", {"batching": "pictures", "epochs": 8}, {}, draws=3),
        Row("pictures_as_long", "40 pictures, 20 epochs", {"batching": "pictures", "epochs": 20}, {}, draws=3),
    ),
)


def passes(settings):
    """``(steps, passes)`` of an epoch: pictures that go through the network in it."""
    labels = np.repeat([0, 1], [settings["normal"], settings["abnormal"]])
    size = settings["step"] or training.STEP[settings["batching"]]
    epoch = pairs.BATCHINGS[settings["batching"]](labels, size, np.random.default_rng(0))
    counts = [len(rows) for rows, _, _ in epoch]
    return len(counts), sum(counts)


def report(runs):
    """The table, and what each row cost."""
    results, sections, pictures = takimoto_reports.report(runs)
    lines = [
        "## What it costs",
        "| | updates | pictures through the network | seconds of training |\n|" + " --- |" * 4,
    ]
    for row, records in reports.by_row(runs):
        settings = records[0]["settings"]
        steps, through = passes(settings)
        seconds = np.median([record["training_seconds"] for record in records])
        lines[-1] += (
            f"\n| {row.title} | {steps * settings['epochs']} | {through * settings['epochs']} | {seconds:.0f} |"
        )
    lines.append(f"Median of the runs, tracing included, on {machine()}.")
    return results, "\n\n".join([*lines, sections]), pictures


if __name__ == "__main__":
    study.main(TABLE, takimoto.train, report, takimoto.check, takimoto.estimate)
