"""Remakes a table: plans its runs, has those made that are missing (`experiments.runs`), writes the page, its JSON and
its figures."""

import functools
import json
import os
import sys
from pathlib import Path

from absl import app, flags

from experiments import data, digests, sweep
from experiments.page import Result, write
from experiments.runs import Run, make
from fsad import backbones, training, weights
from fsad.files import FsadError

ROOT = Path(__file__).parent
FEWEST_EPOCHS = 5  # of a trial, before rows are left out
FLAGS = flags.FLAGS

flags.DEFINE_list("data", None, "a data set for all rows, or one per row: names or folders (experiments/data.py)")
flags.DEFINE_list("rows", None, "keys of the rows to run; all by default")
flags.DEFINE_integer("draws", None, "draws of the data for each row", lower_bound=1)
flags.DEFINE_integer("seed", 0, "seed of the first draw; draw k uses seed + k", lower_bound=0)
flags.DEFINE_enum("precision", "auto", ["auto", "float32", "mixed_bfloat16"], "arithmetic of training")
flags.DEFINE_string("group_pattern", None, "a regular expression: the name of the part in the path of an image, where "
                    "several images show one part")  # fmt: skip
flags.DEFINE_bool("pooled", None, "MVTec AD layout: draw good images from train/ and test/ together; by default they "
                  "are trained on from train/ and tested on from test/")  # fmt: skip
flags.DEFINE_bool("dry_run", False, "list the runs, and which are finished, and stop")
flags.DEFINE_string("out", str(ROOT / "results"), "folder for the page and its figures")
flags.DEFINE_string("cache", str(ROOT / ".cache" / "runs"), "folder of finished runs")
flags.DEFINE_string("ray", None, "make the runs on Ray: local, or the address of a cluster (experiments/sweep.py)")
flags.DEFINE_alias("kept", "cache")  # their names before, for one version more
flags.DEFINE_alias("runs", "draws")
# Each of these replaces the setting of its name in every row.
SETTINGS = ("epochs", "backbone", "weights", "distance", "hold_out", "test_per_class", "side", "learning_rate",
            "batch_size")  # fmt: skip
flags.DEFINE_integer("epochs", None, "training epochs", lower_bound=1)
flags.DEFINE_string("backbone", None, "name of the backbone")
flags.DEFINE_string("weights", None, "backbone weights: imagenet, none, or a file")
flags.DEFINE_enum("distance", None, ["l1", "euclidean", "cosine", "learnable"], "distance between embeddings")
flags.DEFINE_string("hold_out", None, "a defect type that is tested and never trained on")
flags.DEFINE_integer("test_per_class", None, "test images per class at most; 0: all that balance allows", lower_bound=0)
flags.DEFINE_integer("side", None, "side of the images in pixels", lower_bound=32)
flags.DEFINE_float("learning_rate", None, "learning rate of Adam")
flags.DEFINE_integer("batch_size", None, "pairs, or images, per step", lower_bound=2)
flags.DEFINE_alias("step", "batch_size")


def main(table, train, report, check=lambda settings: None, estimate=None):
    """`remake` as a command."""
    FLAGS["rows"].help += f": {', '.join(row.key for row in table.rows)}"
    run_main(lambda _: remake(table, train, report, check, estimate))


def run_main(main):
    """``app.run``, where ``--help`` lists all our flags and a user's mistake is one line, not a traceback."""
    for module, own in FLAGS.flags_by_module_dict().items():
        for flag in own if module.startswith("experiments.") else ():
            FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    try:
        app.run(main)
    except (FileNotFoundError, ValueError, FsadError) as error:
        raise SystemExit(f"\n{error}") from None
    except SystemExit as stop:
        raise SystemExit(0 if {"--help", "--helpfull"} & set(sys.argv) else stop.code) from None


def remake(table, train, report, check=lambda settings: None, estimate=None):
    """Remakes a table as the flags say.

    Args:
        table: a `Table`.
        train: ``(settings, on_epoch) -> (record, arrays)``; calls ``on_epoch(loss)`` after each epoch.
        report: ``[Run] -> (results, sections, figures)``, as `experiments.page.write` takes them.
        check: ``settings -> None``; raises FileNotFoundError or ValueError for settings that no run can be made with.
        estimate: ``settings -> seconds`` of a run, for ``--dry_run``.
    """
    runs = plan(table, train, check)
    if FLAGS.dry_run:
        show_plan([run for run in runs if run.wanted], estimate)
        return
    # Before the runs: they are made with it, whatever is edited meanwhile.
    code = digests.code_version(digests.module(train))
    failures = made(runs, train)
    failed = [(run.row.key, failures[run.folder]) for run in runs if run.folder in failures]
    runs = [run for run in runs if run.finished]
    if not runs:
        raise SystemExit(f"No run finished, so there is no table. {' '.join(failures.values())}")
    results, sections, figures = report(runs)
    for key, note in [*_missing_weights(table, runs), *failed]:
        result = results.get(key, Result({}))
        results[key] = Result(result.cells, tuple(dict.fromkeys((*result.notes, note))))
    given = [FLAGS[k].serialize() for k in FLAGS if FLAGS[k].present and k not in ("out", "cache", "ray")]
    module = getattr(sys.modules["__main__"].__spec__, "name", table.name).removesuffix(".__main__")
    command = " ".join([f"python -m {module}", *given])
    records = [run.load()[0] for run in {run.folder: run for run in runs}.values()]  # rows may share a run
    payload = {"command": command, "versions": digests.versions(), "code": code, "runs": _share_tests(records)}
    name = output_name(table, runs, command)
    head = _head(table, runs, records, command)
    print("\n" + write(FLAGS.out, table, name, head, results, payload, sections, figures))
    print(f"\nWritten: {os.path.relpath(FLAGS.out)}/{name}.md, .json" + "".join(f", _{key}.png" for key in figures))
    if failures:
        raise SystemExit(1)


def made(runs, train):
    """Has the missing runs made, here or on Ray; returns what went wrong, as `experiments.runs.make`."""
    return sweep.make(runs, train, FLAGS.ray) if FLAGS.ray else make(runs, train)


def plan(table, train, check=lambda settings: None):
    """The runs of a table as the flags say, in order."""
    keys = [row.key for row in table.rows]
    if unknown := set(FLAGS.rows or ()) - set(keys):
        raise ValueError(f"Expected --rows among {', '.join(keys)}. Received: {', '.join(sorted(unknown))}")
    if len(FLAGS.data or ()) not in (0, 1, len(keys)):
        raise ValueError(f"Expected --data with one data set, or {len(keys)}, one per row. Received: {FLAGS.data}")
    for name in SETTINGS:
        if FLAGS[name].present and name not in {**table.settings, **table.rows[0].settings}:
            raise ValueError(f"Expected no --{name}: {table.name} has no such setting. Received: {FLAGS[name].value}")
    runs = []
    for k, row in enumerate(table.rows):
        settings = _settings(table, row, k)
        wanted = FLAGS.rows is None or row.key in FLAGS.rows
        if not FLAGS.data and row.key not in (FLAGS.rows or ()) and not data.there(settings["data"]):
            continue  # a data set that is unavailable here and that nobody asked for: the page says "Not run."
        if (FLAGS.dry_run or not wanted) and not data.drawn(settings["data"]):
            deciding = {**settings, "data": "not drawn yet"}
        else:
            check(settings)  # once per row: it lists the data
            deciding = digests.decides(settings, train)
        for seed in range(FLAGS.seed, FLAGS.seed + (FLAGS.draws or row.draws)):
            folder = Path(FLAGS.cache) / digests.key({**deciding, "seed": seed})
            runs.append(Run(row, {**settings, "seed": seed}, folder, wanted))
    return runs


def _settings(table, row, k):
    """The settings of the k-th row, with those given as flags; without ImageNet weights where there are none."""
    settings = {**table.settings, **row.settings}
    settings |= {name: FLAGS[name].value for name in settings if name in FLAGS and FLAGS[name].present}
    settings["precision"] = training.fast_precision() if FLAGS.precision == "auto" else FLAGS.precision
    if FLAGS.data:
        settings["data"] = FLAGS.data[k if len(FLAGS.data) > 1 else 0]
    settings |= data.known(settings["data"])
    settings |= {name: FLAGS[name].value for name in ("group_pattern", "pooled") if FLAGS[name].present}
    if settings["weights"] == "imagenet" and not _has_weights(settings["backbone"], download=not FLAGS.dry_run):
        settings["weights"] = "none"
    return settings


@functools.cache
def _has_weights(backbone, download):
    """Whether the ImageNet weights of a backbone, if it has any, are on this machine or can be downloaded."""
    files = backbones.spec_of(backbone).files
    if not files or weights.local_file(files):
        return True
    try:
        return download and backbones.locate(backbone).is_file()
    except weights.WeightsError:
        return False


def _missing_weights(table, runs):
    """``(row key, note)`` of the runs without the ImageNet weights they were to have."""
    for run in runs:
        asked = FLAGS.weights or {**table.settings, **run.row.settings}["weights"]
        if asked == "imagenet" and run.settings["weights"] == "none":
            yield run.row.key, "ImageNet weights were unavailable: this backbone started from random weights."


def show_plan(runs, estimate=None):
    """Prints the runs, and the time that the missing ones will take."""
    same = {k: v for k, v in runs[0].settings.items() if all(r.settings.get(k) == v for r in runs)} if runs else {}
    print("Same for all: " + ", ".join(f"{name}={value}" for name, value in same.items() if value is not None))
    for run in runs:
        own = ", ".join(f"{k}={v}" for k, v in run.settings.items() if k not in same and v is not None)
        print(f"{'finished' if run.finished else 'to run  '}  {run.row.key}, {run.row.title}: {own}")
    missing = [run for run in runs if not run.finished]
    print(f"{len(runs)} run(s), {len(missing)} to do; finished runs are in {FLAGS.cache}")
    if estimate and missing:
        hours = sum(estimate(run.settings) for run in missing) / 3600
        time = f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:,.0f} days"
        print(f"About {time} on this machine, from the time of a measured step.")
        if hours > 1 and "epochs" in FLAGS:
            print(f"In an hour, as a trial: {within_an_hour(missing, estimate)}")


def within_an_hour(runs, estimate):
    """The command of this one with as few draws, epochs and rows as it takes to be done within an hour."""
    first = min(run.settings["seed"] for run in runs)
    runs = [run for run in runs if run.settings["seed"] == first]
    given = {k: FLAGS[k].serialize() for k in FLAGS if FLAGS[k].present and k != "dry_run"}
    given["draws"] = "--draws=1"
    whole = sum(estimate(run.settings) for run in runs)
    epochs = min(run.settings["epochs"] for run in runs)
    fitting = int(epochs * 3600 / whole)
    if fitting < FEWEST_EPOCHS:  # then fewer rows: the cheapest ones
        runs = sorted(runs, key=lambda run: estimate(run.settings))
        costs = [estimate(run.settings) * FEWEST_EPOCHS / run.settings["epochs"] for run in runs]
        count = max(1, sum(sum(costs[: k + 1]) <= 3600 for k in range(len(costs))))
        keys = {run.row.key for run in runs[:count]}
        given["rows"] = "--rows=" + ",".join(dict.fromkeys(run.row.key for run in runs if run.row.key in keys))
        fitting = max(1, min(FEWEST_EPOCHS, int(FEWEST_EPOCHS * 3600 / sum(costs[:count]))))
        settings, hours = runs[0].settings, sum(costs[:count]) * fitting / FEWEST_EPOCHS / 3600
        side = settings.get("side") or backbones.spec_of(settings["backbone"]).side
        if hours > 1:  # then smaller images
            given["side"] = f"--side={max(32, int(side / hours**0.5) // 16 * 16)}"
    if fitting < epochs:
        given["epochs"] = f"--epochs={fitting}"
    module = getattr(sys.modules["__main__"].__spec__, "name", "").removesuffix(".__main__")
    return " ".join([f"python -m {module}", *given.values()])


def _share_tests(records):
    """The records, where what a ``test`` has in common with an earlier one, such as its images, refers to that
    record."""
    first = {}
    for k, record in enumerate(records):
        for name, values in record.get("test", {}).items():
            earlier = first.setdefault((name, json.dumps(values)), k)
            if earlier != k:
                record["test"][name] = {"as in run": earlier}
    return records


def output_name(table, runs, command):
    """The table's name, its data sets if they are not the declared ones, and ``trial`` if rows, draws or epochs are
    fewer than declared. With fewer, only the command that wrote a page writes it again."""
    declared = [{**table.settings, **row.settings} for row in table.rows]
    others = dict.fromkeys(run.settings["data"] for run in runs)
    others = [name for name in others if name not in [settings["data"] for settings in declared]]
    others = [Path(name).resolve().name if Path(name).is_dir() else name.replace("/", "-") for name in others]
    name = "_".join([table.name, *others])
    page = Path(FLAGS.out) / f"{name}.json"
    if page.is_file() and json.loads(page.read_text())["command"] == command:
        return name
    for row, settings in zip(table.rows, declared, strict=True):
        epochs = [run.settings["epochs"] for run in runs if run.row.key == row.key]
        if len(epochs) < row.draws or min(epochs) < settings["epochs"]:
            return f"{name}_trial"
    return name


def _head(table, runs, records, command):
    """The paragraphs above a table."""
    hidden = ("data", "seed", *data.DEFAULTS, *table.hidden_settings)
    datasets = {run.settings["data"]: data.of(run.settings) for run in runs}
    areas = "; ".join(f"{dataset.folder.name}: {data.told_by_colour(dataset)}" for dataset in datasets.values())
    same = {k: v for k, v in runs[0].settings.items() if v is not None and all(r.settings[k] == v for r in runs)}
    cell = "the paper's value / ours: " if table.has_paper else ""
    return [
        f"Written by `{command}`. A cell is {cell}mean ± standard deviation over the draws, if there are several, and "
        "(95 % bootstrap interval over draws and test images). The interval of one draw is for that draw alone; that "
        "of a few draws is rather too narrow.",
        f"Data: {'; '.join(dict.fromkeys(record['data'] for record in records))}.",
        f"What the mean and deviation of R, G and B of the whole image alone tell, AUROC in cross-validation: {areas}.",
        f"Same for all rows: {', '.join(f'{k} {v}' for k, v in same.items() if k not in hidden)}.",
    ]
