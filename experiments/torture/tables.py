"""`kill -9` while a table of `experiments` is remade: the next run goes on, and ends with the same cells."""

import importlib
import random
import signal

from experiments.torture import Attack, Outcome
from experiments.torture.kills import hooked

DRAWS = 3


def _train(settings, on_epoch):
    """A run without a network: numbers by its seed."""
    import numpy as np

    on_epoch(0.5)
    value = float(np.random.default_rng(settings["seed"]).random())
    return {"data": "made up", "test": {"accuracy": value}, "settings": settings}, {"maps": np.full((2, 2), value)}


def _report(runs):
    from experiments import statistics
    from experiments.page import Result
    from experiments.runs import by_row

    rows = {row.key: [record["test"]["accuracy"] for record in records] for row, records in by_row(runs)}
    return {key: Result({"accuracy": statistics.spread(values)}) for key, values in rows.items()}, "", {}


def _remake(parts, folder):
    """A table of two rows and three draws, as a command would remake it."""
    from absl import flags

    from experiments import runner
    from experiments.page import Column, Row, Table

    table = Table(
        name="made_up",
        title="Made up",
        columns=(Column("accuracy", "Accuracy"),),
        rows=tuple(Row(name, name, {"backbone": name}, {}, DRAWS) for name in ("custom_cnn", "vgg19")),
        settings={"data": "nowhere", "weights": "none", "epochs": 1},
    )
    flags.FLAGS(["tables", f"--data={parts}", f"--out={folder / 'out'}", f"--cache={folder / 'runs'}"])
    runner.remake(table, _train, _report)


def _cells(folder):
    """Pages below a folder, without where they were written."""
    return {path.name: path.read_text().replace(str(folder), "") for path in (folder / "out").glob("*.[mj]*")}


_made = {}


def _whole(workshop):
    """The pages of a run that nobody kills, and at how many events it can be killed."""
    if not _made:
        importlib.import_module("experiments.runner")  # TensorFlow with it: once, and not in each process
        with workshop.folder() as folder:
            case = folder / "case"
            case.mkdir()
            workshop.must(hooked, case, 0, folder / "count", _remake, workshop.parts, case)
            _made.update(pages=_cells(case), count=int((folder / "count").read_text()))
    return _made["pages"], _made["count"]


def _cases(workshop, quick):
    _, count = _whole(workshop)
    return [f"event {at}" for at in sorted(random.Random(0).sample(range(1, count + 1), min(30, count)))]


def _attempt(workshop, case):
    pages, _ = _whole(workshop)
    with workshop.folder() as folder:
        inner = folder / "case"
        inner.mkdir()
        at = int(case.split()[1])
        ended = workshop.run(hooked, inner, at, folder / "count", _remake, workshop.parts, inner)
        finished = len(list((inner / "runs").glob("*/record.json")))
        workshop.must(_remake, workshop.parts, inner)
        same = _cells(inner) == pages
        left = [path.name for path in inner.rglob(".*") if path.name.endswith((".part", "-old"))]
    failures = [] if same else [f"{case}: other cells than those of a run that nobody killed"]
    failures += [f"{case}: ended with {ended.status}: {ended.said}"] if ended.status != -signal.SIGKILL else []
    failures += [f"{case}: left behind: {', '.join(left)}"] if left else []
    return Outcome({f"killed after {finished} of {2 * DRAWS} runs": 1}, failures)


ATTACKS = (
    Attack(
        "tables",
        "`kill -9` before a change to a folder while a table of six runs is remade, then the same command again",
        "the cells of a run that nobody killed; nothing left behind",
        "SQLite's crash tests",
        _cases,
        _attempt,
        slow=True,
    ),
)
