"""What Tables 8 to 13 of Takimoto et al. (2022) take at full length, on a machine with several GPUs.

    python -m experiments.takimoto.plan                     # a minute: the time of one step is measured here
    python -m experiments.takimoto.plan --gpus=4 --speedups=500

What you will see: results/takimoto_plan.md, with the runs of each table, the hours they would take on this machine, and
the hours on the GPUs for several speed-ups of a GPU over this machine. The speed-ups are assumptions, not measurements:
measure a step there by `--dry_run` of a table, and read the line of that ratio. Runs are independent, so their number
sets how well the GPUs are filled.
"""

import heapq
import os
import time
from pathlib import Path

import keras
import numpy as np
from absl import flags

from experiments import runner
from experiments.page import machine
from experiments.takimoto.run import TIMED_SIDE
from experiments.takimoto.tables import TABLES
from fsad import backbones, pairs, training
from fsad.backbones import POSITIONS
from fsad.files import atomic_file
from fsad.recipes import takimoto

FLAGS = flags.FLAGS
STEPS = 5  # that are timed; the first one compiles
HEADER = "| table | runs | steps per run | hours per run here | hours of all runs here |"


def runs_of(table, precision):
    """``(settings, draws)`` of each row of a table, as declared."""
    for row in table.rows:
        yield {**table.settings, **row.settings, "precision": precision}, row.draws


def step_size(settings):
    """Pairs, or images, of a step."""
    return settings["batch_size"] or takimoto.BATCH_SIZES[settings["batching"]]


def steps(settings):
    """Training steps of a run."""
    images = settings["normal"] + settings["abnormal"]
    return pairs.steps(images, settings["batching"], step_size(settings)) * settings["epochs"]


def side(settings):
    """Side of the images, in pixels."""
    return settings["side"] or backbones.spec_of(settings["backbone"]).side


def seconds(settings, image_seconds):
    """Seconds of a run, as `experiments.takimoto.run.estimate`, from those of an image of `TIMED_SIDE` in a step."""
    images = step_size(settings) * (1 if settings["batching"] == "images" else 2)  # 16 pairs are of nearly 32 images
    return images * (side(settings) / TIMED_SIDE) ** 2 * image_seconds * steps(settings)


def measure(backbone, precision, images=8):
    """Seconds of a training step of method III per image of noise, if this process had all cores for itself: processor
    time, which other processes do not add to, over the number of cores; the least of `STEPS`."""
    sizes = {"side": TIMED_SIDE, "epochs": STEPS, "batch_size": 2 * images}
    recipe = takimoto.build(backbone, "none", POSITIONS[0], 1.0, margin=1.0, branch_margin=1.0, **sizes)
    rng, times = np.random.default_rng(0), []
    noise = rng.integers(0, 256, (images, recipe.side, recipe.side, 3), np.uint8)
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: times.append(time.process_time()))
    training.fit(recipe, noise, np.arange(images) % 2, rng, callbacks=[clock], precision=precision)
    return min(np.diff(times)) / images / os.cpu_count()


def category(table):
    """The category of MVTec AD that a table is of."""
    return table.title.split(": ")[1].split(",")[0]


def makespan(seconds, workers):
    """Time until the last of some runs is done, when each worker takes the longest run that is left."""
    ends = [0.0] * workers
    for one in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + one)
    return max(ends)


def page(tables, image_seconds, gpus, speedups, precision):
    """The plan, in Markdown.

    Args:
        tables: number -> `experiments.page.Table`.
        image_seconds: of an image in a training step on this machine (`measure`).
        speedups: of a GPU over this machine, assumed.
    """
    lines, every = [], []
    for number, table in tables.items():
        rows = list(runs_of(table, precision))
        own = [seconds(settings, image_seconds) for settings, draws in rows for _ in range(draws)]
        every += own
        low, high = (f"{bound(own) / 3600:,.1f}" for bound in (min, max))
        lines.append(
            f"| [{number}] {category(table)}, {table.title.split(', ')[1]} | {len(own)} | "
            f"{' or '.join(f'{n:,}' for n in sorted({steps(s) for s, _ in rows}))} | "
            f"{low if low == high else f'{low} to {high}'} | {sum(own) / 3600:,.0f} |"
        )
    lines.append(f"| all | {len(every)} | | | {sum(every) / 3600:,.0f} |")
    settings = next(iter(tables.values())).settings
    command = f"python -m experiments.takimoto.plan --gpus={gpus} --speedups={','.join(map(str, speedups))}"
    return "\n".join([
        "# Tables 8 to 13 of paper T at full length: a plan",
        "",
        f"Written by `{command}`. None of this has been run. *Measured* on {machine()}, {precision}: "
        f"{1000 * image_seconds:.0f} ms of a training step per image of {TIMED_SIDE} x {TIMED_SIDE} pixels "
        f"({settings['backbone']}, method III, processor time over cores). Hours here follow by pixels and steps, at "
        f"{side(settings)} x {side(settings)} pixels and {step_size(settings)} {settings['batching']} per step.",
        "",
        HEADER, "| --- | ---: | ---: | ---: | ---: |", *lines,
        "",
        f"## On {gpus} GPUs",
        "",
        "The speed-up of one GPU over this machine is **assumed**. A run keeps one GPU; each GPU takes the longest run "
        "that is left.",
        "",
        "| assumed speed-up of a GPU | hours of the longest run | hours until all tables are done | GPU hours |",
        "| ---: | ---: | ---: | ---: |",
        *(f"| {ratio} | {max(every) / ratio / 3600:,.2f} | {makespan(every, gpus) / ratio / 3600:,.1f} | "
          f"{sum(every) / ratio / 3600:,.0f} |" for ratio in speedups),
        "",
        "## How to run it",
        "",
        "1. On each node: this repository, `pip install -e '.[scale]'` with TensorFlow for its GPUs, MVTec AD and the "
        "weights of the backbone under the same names (`FSAD_DATA_DIR`, `FSAD_WEIGHTS_DIR`), and a shared folder.",
        "2. Measure: `python -m experiments.takimoto.tables --table=8 --data=mvtec/capsule --dry_run` on a node with a "
        "GPU says the hours there; the ratio to those above is the speed-up.",
        "3. `ray start --head` on one node, `ray start --address=HEAD:6379` on the others; then, for each table,",
        "",
        "```sh",
        *(
            f"python -m experiments.takimoto.tables --table={number} --data=mvtec/{category(table)} --ray=auto "
            "--cache=/shared/runs --out=/shared/results"
            for number, table in tables.items()
        ),
        "```",
        "",
        "The commands may run at once: each waits for GPUs, and their runs are keyed by content. After a stop, the "
        "same commands make what is missing.",
        "",
    ])  # fmt: skip


def main(_):
    precision = training.fast_precision() if FLAGS.precision == "auto" else FLAGS.precision
    speedups = [float(text) if "." in text else int(text) for text in FLAGS.speedups]
    each = measure(TABLES[8].settings["backbone"], precision)
    text = page(TABLES, each, FLAGS.gpus, speedups, precision)
    path = Path(FLAGS.out) / "takimoto_plan.md"
    with atomic_file(path, "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    flags.DEFINE_integer("gpus", 8, "how many GPUs", lower_bound=1)
    flags.DEFINE_list("speedups", ["100", "300", "1000"], "of a GPU over this machine; assumed")
    runner.run_main(main)
