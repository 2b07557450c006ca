"""A results table: its columns and rows as declared, and how its page and JSON are written."""

import dataclasses
import json
import os
import platform
from pathlib import Path

import numpy as np
import pandas as pd

from experiments import statistics
from fsad.explain import overlay
from fsad.files import atomic_file

# What makes processors of one name fast, the widest first: flags of Linux.
EXTENSIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 bfloat16", "avx512f": "AVX-512", "avx2": "AVX2"}


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


def write(out, table, name, head, results, payload, sections="", figures=None):
    """Writes ``<name>.md``, ``<name>.json`` and ``<name>_<figure>.png`` into a folder.

    Args:
        out: the folder.
        head: paragraphs above the table.
        results: `Result` by row key; a row without one was not run.
        payload: what the JSON holds besides the cells.
        sections: markdown below the table.
        figures: matplotlib figures by name.

    Returns:
        The table as plain text, for a terminal: the rows that were run.
    """
    out, figures = Path(out), figures or {}
    footnotes, rows, page, terminal, shown = {}, [], [], [], set()
    for row in table.rows:
        result = results.get(row.key, Result({}, ("Not run.",)))
        notes = [note for note in (row.note, *result.notes) if note]
        marks = sorted(footnotes.setdefault(note, len(footnotes) + 1) for note in notes)
        title = row.title + (f" [{','.join(map(str, marks))}]" if marks else "")
        page.append([title, *_cells(table, row, result, intervals=True)])
        if row.key in results:
            terminal.append([title, *_cells(table, row, result, intervals=False)])
            shown.update(marks)
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
    below = [f"[{number}] {note}" for note, number in footnotes.items() if number in shown]
    if missing := len(page) - len(terminal):
        below.append(f"{missing} of {len(page)} rows were not run.")
    heading = [table.title, *(["each cell: paper / ours"] * table.has_paper)]
    return "\n".join([*heading, "", grid, "", *below, *table.notes])


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


def write_text(path, payload, text):
    """Writes a benchmark's page: ``path``, ``.json``, with its values, and the text beside it as ``.md``."""
    for name, content in ((path, json.dumps(payload, indent=1)), (path.with_suffix(".md"), text)):
        with atomic_file(name, "w") as file:
            file.write(content)


def machine(info=Path("/proc/cpuinfo")):
    """Processor, cores, the widest of `EXTENSIONS` and system, such as ``"AMD EPYC, 2 cores, AVX2, Linux"``."""
    lines = [line.partition(":") for line in info.read_text().splitlines()] if info.is_file() else []
    models = [value.strip() for name, _, value in lines if name.startswith("model name")]
    known = {flag for name, _, value in lines if name.startswith("flags") for flag in value.split()}
    widest = [title for flag, title in EXTENSIONS.items() if flag in known][:1]
    return ", ".join([*(models or [platform.machine()])[:1], f"{os.cpu_count()} cores", *widest, platform.system()])
