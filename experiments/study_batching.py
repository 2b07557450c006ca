"""Pairs or pictures a step? What the two batchings of Takimoto et al. (2022) cost, and what they reach.

    python -m experiments.study_batching --data=magnetic_tile --backbone=mobilenet --side=128 --learning_rate=1e-4 \\
        --test_per_class=0

What you will see: method III behind the tenth convolution, experiment A, trained three ways: one epoch of 16 pairs a
step, as the paper has it; eight epochs of 40 pictures a step, all pairs among them; and as many epochs of those as
pass through the network as often as the one. All three see each pair once an epoch.
"""

import numpy as np

from experiments import study, takimoto, takimoto_reports
from experiments.machine import machine
from experiments.tables import Row, Table
from fsad import pairs, training

TABLE = Table(
    name="study_batching",
    title="Pairs or pictures a step",
    columns=takimoto.COLUMNS,
    rows=(
        Row("pairs", "16 pairs, 1 epoch", {"batching": "pairs", "epochs": 1}, {}, draws=3),
        Row("pictures", "40 pictures, 8 epochs", {"batching": "pictures", "epochs": 8}, {}, draws=3),
        Row("pictures_as_long", "40 pictures, 20 epochs", {"batching": "pictures", "epochs": 20}, {}, draws=3),
    ),
    settings={
        **takimoto.SETTINGS,
        "data": "synthetic-metal",
        "position": 10,
        "branch_weight": 1.0,
        "abnormal": 40,
        "test_per_class": 40,
    },
    notes=("Recall is of the normal, specificity of the abnormal pictures.",),
    flags=takimoto.FLAGS,
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
    rows = {}
    for run in runs:
        rows.setdefault(run.row.key, []).append(run)
    lines = [
        "## What it costs",
        "| | updates | pictures through the network | seconds of training |\n|" + " --- |" * 4,
    ]
    for found in rows.values():
        settings = found[0].settings
        steps, through = passes(settings)
        seconds = np.median([run.load()[0]["training_seconds"] for run in found])
        lines[-1] += (
            f"\n| {found[0].row.title} | {steps * settings['epochs']} | {through * settings['epochs']} "
            f"| {seconds:.0f} |"
        )
    lines.append(f"Median of the runs, tracing included, on {machine()}.")
    return results, "\n\n".join([*lines, sections]), pictures


if __name__ == "__main__":
    study.main(TABLE, takimoto.train, report, takimoto.check, takimoto.estimate)
