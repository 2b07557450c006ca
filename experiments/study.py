"""The one runner that remakes a table.

`main` makes every run the rows of a `tables.Table` need, keeps each finished run in a folder of its own
(so a killed study resumes), and writes the table. A finished run is used again only if its settings, its
data files, the versions of the libraries and the code are the same.
"""

import dataclasses
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from tqdm import tqdm

from experiments import data, keys, tables
from fsad import training

ROOT = Path(__file__).parent
FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Run:
    """One training and its test: the row it is for, its settings, the folder that keeps it; not ``wanted``
    if ``--rows`` leaves it out (then it is shown if it is finished, and not made)."""

    row: tables.Row
    settings: dict
    folder: Path
    wanted: bool = True

    @property
    def finished(self):
        return (self.folder / "record.json").is_file()

    def load(self):
        """``(record, arrays)``: a dict of JSON values and a dict of numpy arrays."""
        with np.load(self.folder / "arrays.npz", allow_pickle=False) as arrays:
            return json.loads((self.folder / "record.json").read_text()), dict(arrays)


def define_flags(table):
    """Flags of every table; what is not given is as the table declares it."""
    before = set(FLAGS)
    keys = ", ".join(row.key for row in table.rows)
    flags.DEFINE_list("data", None, "a data set for all rows, or one a row: names or folders (experiments/data.py)")
    flags.DEFINE_list("rows", None, f"rows to run, of {keys}; all if not given")
    flags.DEFINE_integer("draws", None, "draws of the few shots for each row", lower_bound=1)
    flags.DEFINE_integer("epochs", None, "training epochs for each row", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "seed of the first draw; draw k uses seed + k", lower_bound=0)
    flags.DEFINE_string("weights", None, "backbone weights: imagenet, none, or a path")
    flags.DEFINE_enum("precision", "auto", ["auto", "float32", "mixed_bfloat16"], "arithmetic of training")
    flags.DEFINE_enum("distance", None, ["l1", "euclidean", "cosine"], "distance between embeddings")
    flags.DEFINE_string("hold_out", None, "a defect type that is tested and never trained on")
    flags.DEFINE_integer(
        "test_per_class", None, "test pictures a class at most; 0 for all that balance allows", lower_bound=0
    )
    flags.DEFINE_bool("dry_run", False, "list the runs, and which are finished, and stop")
    flags.DEFINE_string("out", str(ROOT / "results"), "folder for the table and its pictures")
    flags.DEFINE_string("kept", str(ROOT / ".cache" / "runs"), "folder that keeps finished runs")
    for flag in table.flags:
        flag.define(flag.name, default=None, help=flag.help, **flag.options)
    for name in set(FLAGS) - before:  # so that --help shows them, although another module defines them
        FLAGS.register_key_flag_for_module(sys.argv[0], FLAGS[name])


def run_main(main):
    """``app.run``, but ``--help`` is no failure and a user's mistake is one line, not a traceback."""
    try:
        app.run(main)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"\n{error}") from None
    except SystemExit as stop:
        raise SystemExit(0 if {"--help", "--helpfull"} & set(sys.argv) else stop.code) from None


def main(table, train, report, check=lambda settings: None, estimate=None):
    """Remakes ``table`` as the command line says.

    Args:
        table: a `tables.Table`.
        train: ``(settings, on_epoch) -> (record, arrays)``. Calls ``on_epoch(loss)`` after each epoch.
        report: ``[Run] -> (results, sections, figures)``, the last three of `tables.write`.
        check: ``settings -> None``; raises FileNotFoundError or ValueError for what cannot be run.
        estimate: ``settings -> seconds`` of a run, from a measured step; for ``--dry_run``.
    """
    define_flags(table)
    run_main(lambda _: _main(table, train, report, check, estimate))


def _main(table, train, report, check, estimate):
    runs = plan(table, train, check)
    if FLAGS.dry_run:
        runs = [run for run in runs if run.wanted]
        for run in runs:
            settings = ", ".join(f"{k}={v}" for k, v in run.settings.items() if v is not None)
            print(f"{'finished' if run.finished else 'to run  '}  {run.row.title}: {settings}")
        left = [run for run in runs if not run.finished]
        print(f"{len(runs)} run(s), {len(left)} to do; finished runs are kept in {FLAGS.kept}")
        if estimate and left:
            seconds = sum(estimate(run.settings) for run in left)
            print(f"About {seconds / 3600:.1f} hours on this machine, from the time of a measured step.")
        return
    code = keys.code_version(train.__module__)  # that the runs are made with, whatever is edited meanwhile
    failed = make(runs, train)
    runs = [run for run in runs if run.finished]
    if not runs:
        reasons = " ".join(reason for found in failed.values() for reason in found)
        raise SystemExit(f"No run finished, so there is no table. {reasons}")
    results, sections, figures = report(runs)
    for key, reasons in failed.items():
        results[key] = dataclasses.replace(results.get(key, tables.Result({})), notes=(*reasons,))
    name = output_name(table, runs)
    command = " ".join([f"python -m experiments.{table.name}", *_given(table)])
    records = [run.load()[0] for run in {run.folder: run for run in runs}.values()]  # rows may share a run
    same = {k: v for k, v in runs[0].settings.items() if all(r.settings[k] == v for r in runs) and v is not None}
    unsaid = ("data", "seed", *table.unsaid)
    cell = "the paper's value / ours: " if table.has_paper else ""
    head = [
        f"Written by `{command}`. A cell is {cell}mean ± standard deviation over the draws, where there "
        "are several, and (95 % bootstrap interval over draws and test pictures). The interval of "
        "one draw is for that draw alone; that of a few draws is rather too narrow.",
        "Data: " + "; ".join(dict.fromkeys(record["data"] for record in records)) + ".",
        "Same for all rows: " + ", ".join(f"{k} {v}" for k, v in same.items() if k not in unsaid) + ".",
    ]
    versions = {n: importlib.metadata.version(n) for n in keys.LIBRARIES}
    payload = {"command": command, "versions": versions, "code": code, "runs": _once(records)}
    print("\n" + tables.write(table, FLAGS.out, name, head, results, payload, sections, figures))
    print(f"\nWritten: {os.path.relpath(FLAGS.out)}/{name}.md, .json" + "".join(f", _{key}.png" for key in figures))
    if failed:
        raise SystemExit(1)


def _once(records):
    """Records whose ``test`` is that of an earlier one, pictures and all, name that one instead."""
    first, told = {}, []
    for k, record in enumerate(records):
        earlier = first.setdefault(json.dumps(record["test"]), k) if "test" in record else k
        told.append(record if earlier == k else {**record, "test": {"as in run": earlier}})
    return told


def plan(table, train, check=lambda settings: None):
    """The runs of a table as the command line says, in order."""
    unknown = set(FLAGS.rows or ()) - {r.key for r in table.rows}
    if unknown:
        known = ", ".join(r.key for r in table.rows)
        raise ValueError(f"Expected --rows among {known}. Received: {', '.join(sorted(unknown))}")
    sets = FLAGS.data or []
    if len(sets) not in (0, 1, len(table.rows)):
        raise ValueError(f"Expected --data with one data set, or {len(table.rows)}, one a row. Received: {sets}")
    own = {flag.name for flag in table.flags}
    given = {k: FLAGS[k].value for k in ("epochs", "weights", "distance", "hold_out", "test_per_class")}
    given |= {flag.name: FLAGS[flag.name].value for flag in table.flags if not flag.selects}
    given = {k: v for k, v in given.items() if v is not None and k != "runs"}
    given["precision"] = training.fast_precision() if FLAGS.precision == "auto" else FLAGS.precision
    runs = []
    for k, row in enumerate(table.rows):
        settings = {**table.settings, **row.settings, **given}
        if sets:
            settings["data"] = sets[k if len(sets) > 1 else 0]
        wanted = not FLAGS.rows or row.key in FLAGS.rows
        for flag in table.flags:
            if flag.selects and FLAGS[flag.name].value is not None:
                wanted = wanted and str(settings[flag.selects]) in map(str, FLAGS[flag.name].value)
        if not sets and row.key not in (FLAGS.rows or ()) and not data.there(settings["data"]):
            continue  # pictures this machine has not, and nobody asked for: the table says "not run"
        if FLAGS.dry_run and not data.drawn(settings["data"]):
            decides = {"data": "not drawn yet"}
        else:
            # Once a row, not once a draw: this lists the data and may ask the network for weights.
            check(settings)
            decides = keys.decides(settings, train)
        for draw in range(FLAGS.draws or (FLAGS["runs"].value if "runs" in own else None) or row.draws):
            seed = {"seed": FLAGS.seed + draw}
            runs.append(Run(row, {**settings, **seed}, Path(FLAGS.kept) / keys.key({**decides, **seed}), wanted))
    return runs


def make(runs, train):
    """Makes the runs that are not finished; an interrupt keeps those that are.

    Returns:
        Reasons by row key of the runs that failed; the others are made all the same.
    """
    runs, failed, broken = [run for run in runs if run.wanted], {}, {}
    if reused := sum(run.finished for run in runs):
        print(f"{reused} of {len(runs)} runs are finished already and used again.")
    logging.set_verbosity(logging.WARNING)
    tf.config.experimental.enable_op_determinism()
    try:
        for number, run in enumerate(runs, 1):
            if not run.finished and run.folder in broken:  # another row of the same run
                failed.setdefault(run.row.key, []).append(broken[run.folder])
            elif not run.finished:
                data.load(run.settings["data"])  # here, so that its bar is not drawn within that of the run
                where = f"run {number}/{len(runs)}: {run.row.title} on {run.settings['data']}"
                try:
                    _make(run, train, f"{where}, seed {run.settings['seed']}")
                except Exception as error:  # one row out of memory must not cost the others
                    if not isinstance(error, (ValueError, FileNotFoundError)):  # those say what they expected
                        logging.exception("%s failed", where)
                    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
                    broken[run.folder] = f"Seed {run.settings['seed']} failed: {reason}"
                    failed.setdefault(run.row.key, []).append(broken[run.folder])
    except KeyboardInterrupt:
        kept = sum(r.finished for r in runs)
        print(f"\nInterrupted. {kept} of {len(runs)} runs are finished and kept; the same command makes the others.")
        raise SystemExit(130) from None
    return failed


def _make(run, train, title):
    keras.backend.clear_session()  # the last run's model is not needed any more
    epochs = run.settings["epochs"] * run.settings.get("trainings", 1)
    with tqdm(total=epochs, desc=title, unit="epoch") as bar:

        def on_epoch(loss):
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        record, arrays = train(run.settings, on_epoch)
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=run.folder.parent))
    try:
        np.savez_compressed(unfinished / "arrays.npz", **arrays)
        (unfinished / "record.json").write_text(json.dumps({"settings": run.settings, **record}, indent=1))
        os.chmod(unfinished, 0o755)
        if not run.finished:  # another process may have been as far
            os.rename(unfinished, run.folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def output_name(table, runs):
    """The table's name, followed by the data sets' where they are not the declared ones."""
    declared = {table.settings.get("data"), *(row.settings.get("data") for row in table.rows)}
    used = [name for name in dict.fromkeys(run.settings["data"] for run in runs) if name not in declared]
    used = [Path(name).resolve().name if Path(name).is_dir() else name.replace("/", "-") for name in used]
    return "_".join([table.name, *used])


def _given(table):
    """The flags on the command line that change the result."""
    names = ("data", "rows", "draws", "epochs", "seed", "weights", "precision", "distance", "hold_out")
    for name in (*names, "test_per_class", *(flag.name for flag in table.flags)):
        if FLAGS[name].present:
            value = FLAGS[name].value
            yield f"--{name}={','.join(value) if isinstance(value, list) else value}"
