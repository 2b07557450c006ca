"""Pairs or images per step? What the two batchings of Takimoto et al. (2022) cost, and what they reach.

    python -m experiments.ablations.batching --data=magnetic_tile --backbone=mobilenet --side=128 \\
        --learning_rate=1e-4 --test_per_class=0

What you will see: method III behind the tenth convolution, experiment A, trained three ways: one epoch of 16 pairs per
step, as in the paper; eight epochs of 40 images per step, all pairs among them; and as many epochs of those as pass
through the network as often as the one. All three see each pair once per epoch.
"""

import dataclasses

import numpy as np

from experiments import runner
from experiments.ablations import margin
from experiments.page import Row, machine
from experiments.runs import by_row
from experiments.statistics import section
from experiments.takimoto import tables
from experiments.takimoto.run import check, estimate, train
from fsad import pairs
from fsad.recipes.takimoto import BATCH_SIZES

TABLE = dataclasses.replace(
    margin.TABLE,  # method III behind the tenth convolution, experiment A
    name="study_batching",
    title="Pairs or images per step",
    rows=(
        Row("pairs", "16 pairs, 1 epoch", {"batching": "pairs", "epochs": 1}, draws=3),
        Row("images", "40 images, 8 epochs", {"batching": "images", "epochs": 8}, draws=3),
        Row("images_as_long", "40 images, 20 epochs", {"batching": "images", "epochs": 20}, draws=3),
    ),
)


def passes(settings):
    """``(steps, passes)`` of an epoch: images that go through the network in it."""
    index, _ = pairs.all_pairs(np.repeat([0, 1], [settings["normal"], settings["abnormal"]]))
    size = settings["batch_size"] or BATCH_SIZES[settings["batching"]]
    order, sizes = pairs.BATCHINGS[settings["batching"]](index, size, np.random.default_rng(0))
    steps = np.split(index[order], np.cumsum(sizes)[:-1])
    return len(steps), sum(len(np.unique(step)) for step in steps)


def report(runs):
    """The table, and what each row cost."""
    results, sections, figures = tables.report(runs)
    costs = []
    for row, records in by_row(runs):
        settings = records[0]["settings"]
        steps, images = (settings["epochs"] * count for count in passes(settings))
        for record in records:
            counts = {"updates": steps, "images through the network": images}
            costs.append({"": row.title, **counts, "seconds of training": record["training_seconds"]})
    text = f"Seconds include tracing, on {machine()}."
    return results, f"{section('What it costs', text, costs, names=3)}\n\n{sections}", figures


if __name__ == "__main__":
    runner.main(TABLE, train, report, check, estimate)
