"""Remakes a table: plans its runs, makes those that are missing, writes the page, its JSON and its figures.

The folder of a finished run is named by a digest of all that decides its result: settings, data, weights, library
versions and code. So an interrupted table resumes, and a run that two tables share is made once.
"""

import ast
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from absl import app, flags, logging
from tqdm import tqdm

from experiments import data, statistics
from fsad import backbones, inputs, training, weights
from fsad.explain import overlay
from fsad.files import FsadError, atomic_file, atomic_folder, sha256

ROOT = Path(__file__).parent
LIBRARIES = ("tensorflow", "keras", "numpy", "opencv-python-headless", "pillow", "scipy")
FLAGS = flags.FLAGS

flags.DEFINE_list("data", None, "a data set for all rows, or one per row: names or folders (experiments/data.py)")
flags.DEFINE_list("rows", None, "keys of the rows to run; all by default")
flags.DEFINE_integer("draws", None, "draws of the data for each row", lower_bound=1)
flags.DEFINE_integer("seed", 0, "seed of the first draw; draw k uses seed + k", lower_bound=0)
flags.DEFINE_enum("precision", "auto", ["auto", "float32", "mixed_bfloat16"], "arithmetic of training")
flags.DEFINE_bool("dry_run", False, "list the runs, and which are finished, and stop")
flags.DEFINE_string("out", str(ROOT / "results"), "folder for the page and its figures")
flags.DEFINE_string("cache", str(ROOT / ".cache" / "runs"), "folder of finished runs")
flags.DEFINE_alias("kept", "cache")  # their names before, for one version more
flags.DEFINE_alias("runs", "draws")
# Each of these replaces the setting of its name in every row.
SETTINGS = ("epochs", "backbone", "weights", "distance", "hold_out", "test_per_class", "side", "learning_rate",
            "batch_size")  # fmt: skip
flags.DEFINE_integer("epochs", None, "training epochs", lower_bound=1)
flags.DEFINE_string("backbone", None, "name of the backbone")
flags.DEFINE_string("weights", None, "backbone weights: imagenet, none, or a file")
flags.DEFINE_enum("distance", None, ["l1", "euclidean", "cosine"], "distance between embeddings")
flags.DEFINE_string("hold_out", None, "a defect type that is tested and never trained on")
flags.DEFINE_integer("test_per_class", None, "test images per class at most; 0: all that balance allows", lower_bound=0)
flags.DEFINE_integer("side", None, "side of the images in pixels", lower_bound=32)
flags.DEFINE_float("learning_rate", None, "learning rate of Adam")
flags.DEFINE_integer("batch_size", None, "pairs, or images, per step", lower_bound=2)
flags.DEFINE_alias("step", "batch_size")


@dataclasses.dataclass(frozen=True)
class Column:
    """``key`` names the statistic of a cell; ``form`` formats it, multiplied by ``scale``."""

    key: str
    title: str
    form: str = "{:.3f}"
    scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Row:
    """``settings`` are this row's own; ``paper``: cells as printed, by column key; ``draws``: unless ``--draws`` is
    given; ``note``: a footnote."""

    key: str
    title: str
    settings: dict
    paper: dict = dataclasses.field(default_factory=dict)
    draws: int = 1
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """``settings`` are those of every row, ``hidden_settings`` the names of those that the page omits; ``notes`` stand
    below the footnotes. If no row has the paper's numbers, the cells show ours alone."""

    name: str
    title: str
    columns: tuple
    rows: tuple
    settings: dict
    notes: tuple = ()
    hidden_settings: tuple = ()

    @property
    def has_paper(self):
        return any(row.paper for row in self.rows)


@dataclasses.dataclass
class Result:
    """A row as measured: ``cells`` from `experiments.statistics.spread` by column key, and footnotes."""

    cells: dict
    notes: tuple = ()


@dataclasses.dataclass(frozen=True)
class Run:
    """One training and its test: its row, its settings, the folder of its result. A run that is not ``wanted``, since
    ``--rows`` leaves it out, is shown if it is finished, and not made."""

    row: Row
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


def main(table, train, report, check=lambda settings: None, estimate=None):
    """`remake` as a command."""
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
        report: ``[Run] -> (results, sections, figures)``, as `write` takes them.
        check: ``settings -> None``; raises FileNotFoundError or ValueError for settings that no run can be made with.
        estimate: ``settings -> seconds`` of a run, for ``--dry_run``.
    """
    runs = plan(table, train, check)
    if FLAGS.dry_run:
        show_plan([run for run in runs if run.wanted], estimate)
        return
    code = code_version(_module(train))  # before the runs: they are made with it, whatever is edited meanwhile
    failures = make(runs, train)
    failed = [(run.row.key, failures[run.folder]) for run in runs if run.folder in failures]
    runs = [run for run in runs if run.finished]
    if not runs:
        raise SystemExit(f"No run finished, so there is no table. {' '.join(failures.values())}")
    results, sections, figures = report(runs)
    for key, note in [*_missing_weights(table, runs), *failed]:
        result = results.get(key, Result({}))
        results[key] = Result(result.cells, tuple(dict.fromkeys((*result.notes, note))))
    given = [FLAGS[k].serialize() for k in FLAGS if FLAGS[k].present and k not in ("out", "cache")]
    command = " ".join([f"python -m {getattr(sys.modules['__main__'].__spec__, 'name', table.name)}", *given])
    records = [run.load()[0] for run in {run.folder: run for run in runs}.values()]  # rows may share a run
    payload = {"command": command, "versions": _versions(), "code": code, "runs": _share_tests(records)}
    name = output_name(table, runs, command)
    print("\n" + write(table, name, _head(table, runs, records, command), results, payload, sections, figures))
    print(f"\nWritten: {os.path.relpath(FLAGS.out)}/{name}.md, .json" + "".join(f", _{key}.png" for key in figures))
    if failures:
        raise SystemExit(1)


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
        if FLAGS.dry_run and not data.drawn(settings["data"]):
            deciding = {**settings, "data": "not drawn yet"}
        else:
            check(settings)  # once per row: it lists the data
            deciding = decides(settings, train)
        for seed in range(FLAGS.seed, FLAGS.seed + (FLAGS.draws or row.draws)):
            folder = Path(FLAGS.cache) / key({**deciding, "seed": seed})
            runs.append(Run(row, {**settings, "seed": seed}, folder, wanted))
    return runs


def _settings(table, row, k):
    """The settings of the k-th row, with those given as flags; without ImageNet weights where there are none."""
    settings = {**table.settings, **row.settings}
    settings |= {name: FLAGS[name].value for name in settings if name in FLAGS and FLAGS[name].present}
    settings["precision"] = training.fast_precision() if FLAGS.precision == "auto" else FLAGS.precision
    if FLAGS.data:
        settings["data"] = FLAGS.data[k if len(FLAGS.data) > 1 else 0]
    if settings["weights"] == "imagenet" and not _has_weights(settings["backbone"], download=not FLAGS.dry_run):
        settings["weights"] = "none"
    return settings


@functools.cache
def _has_weights(backbone, download):
    """Whether the ImageNet weights of a backbone, if it has any, are on this machine or can be downloaded."""
    files = backbones.spec_of(backbone).files
    if not files or weights.local(files):
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
    for run in runs:
        settings = ", ".join(f"{name}={value}" for name, value in run.settings.items() if value is not None)
        print(f"{'finished' if run.finished else 'to run  '}  {run.row.title}: {settings}")
    missing = [run for run in runs if not run.finished]
    print(f"{len(runs)} run(s), {len(missing)} to do; finished runs are in {FLAGS.cache}")
    if estimate and missing:
        hours = sum(estimate(run.settings) for run in missing) / 3600
        print(f"About {hours:.1f} hours on this machine, from the time of a measured step.")


def make(runs, train):
    """Makes the wanted runs that are not finished; after an interrupt the same command makes the rest.

    Returns:
        What went wrong, by the folder of the run; the other runs are made all the same.
    """
    runs, failures = [run for run in runs if run.wanted], {}
    if finished := sum(run.finished for run in runs):
        print(f"{finished} of {len(runs)} runs are finished already and used again.")
    logging.set_verbosity(logging.WARNING)
    tf.config.experimental.enable_op_determinism()
    for number, run in enumerate(runs, 1):
        if run.finished or run.folder in failures:  # the latter: another row of the same run
            continue
        seed, where = run.settings["seed"], f"run {number}/{len(runs)}: {run.row.title} on {run.settings['data']}"
        try:
            _make(run, train, f"{where}, seed {seed}")
        except KeyboardInterrupt:
            finished = sum(run.finished for run in runs)
            print(f"\nInterrupted. {finished} of {len(runs)} runs are finished; the same command makes the others.")
            raise SystemExit(130) from None
        except Exception as error:  # one row out of memory must not cost the others
            if not isinstance(error, (ValueError, FileNotFoundError)):  # those say what they expected
                logging.exception("%s failed", where)
            failures[run.folder] = f"Seed {seed} failed: {(str(error) or type(error).__name__).splitlines()[0][:200]}"
    return failures


def _make(run, train, title):
    data.load(run.settings["data"])  # before the bar of the run, since it draws one of its own
    keras.backend.clear_session()  # frees the model of the previous run
    epochs = run.settings["epochs"] * run.settings.get("trainings", 1)
    with tqdm(total=epochs, desc=title, unit="epoch") as bar:

        def on_epoch(loss):
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        record, arrays = train(run.settings, on_epoch)
    with atomic_folder(run.folder, "a finished run", "record.json") as folder:
        np.savez_compressed(folder / "arrays.npz", **arrays)
        (folder / "record.json").write_text(json.dumps({"settings": run.settings, **record}, indent=1))


def by_row(runs):
    """``(row, records)`` of each row that has runs, in order."""
    rows = {}
    for run in runs:
        rows.setdefault(run.row.key, (run.row, []))[1].append(run.load()[0])
    return list(rows.values())


def _share_tests(records):
    """The records, where a ``test`` that equals an earlier one, images and all, refers to that record."""
    first = {}
    for k, record in enumerate(records):
        earlier = first.setdefault(json.dumps(record.get("test", k)), k)
        if earlier != k:
            record["test"] = {"as in run": earlier}
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
    hidden = ("data", "seed", *table.hidden_settings)
    same = {k: v for k, v in runs[0].settings.items() if v is not None and all(r.settings[k] == v for r in runs)}
    cell = "the paper's value / ours: " if table.has_paper else ""
    return [
        f"Written by `{command}`. A cell is {cell}mean ± standard deviation over the draws, if there are several, and "
        "(95 % bootstrap interval over draws and test images). The interval of one draw is for that draw alone; that "
        "of a few draws is rather too narrow.",
        f"Data: {'; '.join(dict.fromkeys(record['data'] for record in records))}.",
        f"Same for all rows: {', '.join(f'{k} {v}' for k, v in same.items() if k not in hidden)}.",
    ]


def write(table, name, head, results, payload, sections="", figures=None):
    """Writes ``<name>.md``, ``<name>.json`` and ``<name>_<figure>.png`` into ``--out``.

    Args:
        head: paragraphs above the table.
        results: `Result` by row key; a row without one was not run.
        payload: what the JSON holds besides the cells.
        sections: markdown below the table.
        figures: matplotlib figures by name.

    Returns:
        The table as plain text, for a terminal.
    """
    out, figures = Path(FLAGS.out), figures or {}
    footnotes, rows, page, terminal = {}, [], [], []
    for row in table.rows:
        result = results.get(row.key, Result({}, ("Not run.",)))
        notes = [note for note in (row.note, *result.notes) if note]
        marks = sorted(footnotes.setdefault(note, len(footnotes) + 1) for note in notes)
        title = row.title + (f" [{','.join(map(str, marks))}]" if marks else "")
        page.append([title, *_cells(table, row, result, intervals=True)])
        terminal.append([title, *_cells(table, row, result, intervals=False)])
        rows.append({"row": row.title, "paper": row.paper, "ours": result.cells or None, "notes": notes})
    below = [*(f"[{number}] {note}" for note, number in footnotes.items()), *table.notes]
    page, terminal = (
        pd.DataFrame(lines, columns=["", *(c.title for c in table.columns)]) for lines in (page, terminal)
    )
    for key, figure in figures.items():
        overlay.save(figure, out / f"{name}_{key}.png", dpi=100)
    links = [f"![{key}]({name}_{key}.png)" for key in figures]
    blocks = [
        f"# {table.title}",
        *head,
        statistics.markdown(page),
        "  \n".join(below),
        sections.strip(),
        *links,
    ]
    with atomic_file(out / f"{name}.md", "w") as file:
        file.write("\n\n".join(block for block in blocks if block) + "\n")
    with atomic_file(out / f"{name}.json", "w") as file:
        file.write(_json_lines({"title": table.title, "rows": rows, **payload}))
    widths = [max(map(len, [title, *terminal[title]])) for title in terminal]
    lines = [[*terminal.columns], *terminal.to_numpy().tolist()]
    grid = "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([table.title, *(["each cell: paper / ours"] * table.has_paper), "", grid, "", *below])


def _cells(table, row, result, intervals):
    """The cells of a row as text."""
    for column in table.columns:
        text = _format(column, result.cells.get(column.key), intervals)
        yield f"{row.paper.get(column.key, '–')} / {text}" if table.has_paper else text


def _format(column, cell, intervals):
    if cell is None or cell["mean"] is None:
        return "–"
    cell = {name: None if value is None else np.multiply(value, column.scale) for name, value in cell.items()}
    if not intervals:
        return column.form.format(cell["mean"])
    interval = " ({} to {})".format(*map(column.form.format, cell["interval"])) if cell["interval"] is not None else ""
    return statistics.shown(cell, column.form) + interval


def _json_lines(payload):
    """JSON, a line for each key and each item of a list, so that diffs stay readable; NaN, unknown to JSON, is null."""
    lines = []
    for key, value in json.loads(json.dumps(payload), parse_constant=lambda _: None).items():
        items = ",\n".join(f"  {json.dumps(item)}" for item in value)
        lines.append(f" {json.dumps(key)}: " + (f"[\n{items}\n ]" if isinstance(value, list) else json.dumps(value)))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def key(deciding):
    """The name of a run's folder: a digest of all that decides its result."""
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:20]


def decides(settings, train):
    """All that decides the result of a run: data and weights by content, not by name. No network is asked."""
    folder, given = data.resolve(settings["data"]), settings["weights"]
    if given not in ("imagenet", "none") and not Path(given).is_file():
        raise FileNotFoundError(f"{given}: expected --weights to be imagenet, none or a file. Received: no such file")
    file = weights.local(backbones.spec_of(settings["backbone"]).files) if given == "imagenet" else Path(given)
    digests = {"data": _digest_of_data(folder), "weights": _digest(file) or given}
    return {**settings, **digests, "versions": _versions(), "code": code_version(_module(train))}


@functools.cache
def _digest_of_data(folder):
    return key([
        (s.path.relative_to(folder).as_posix(), s.label, s.kind, _digest(s.path), _digest(s.mask))
        for s in inputs.load(folder).samples
    ])  # fmt: skip


def _digest(path):
    """SHA-256 of a file; None if it is missing or unreadable, which a run leaves out too."""
    return sha256(path) if path and path.is_file() and os.access(path, os.R_OK) else None


def _versions():
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def _module(function):
    """The module of a function, also in the script that ``python -m`` runs."""
    name = function.__module__
    return sys.modules[name].__spec__.name if name == "__main__" else name


@functools.cache
def code_version(module):
    """Digest of the code of a module and of all it imports from `fsad` and `experiments`.

    Of the syntax trees without docstrings: rewording or reformatting keeps finished runs, changing what is computed
    does not, and what a run never imports does not matter.
    """
    trees, names = {}, [module]
    while names:
        name = names.pop()
        base = ROOT.parent / name.replace(".", "/")
        path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
        if path is None or name in trees:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                node.body[0].value.value = ""
        trees[name] = ast.dump(tree)
    return key(trees)


def machine():
    """Processor, cores and system, such as ``"AMD EPYC, 2 cores, Linux"``."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{(models or [platform.machine()])[0]}, {os.cpu_count()} cores, {platform.system()}"
