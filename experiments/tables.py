"""A results table: declared in the shape the paper prints it, written as markdown, JSON and text."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from fsad import storage
from fsad.explain import overlay


@dataclasses.dataclass(frozen=True)
class Column:
    """``key`` names the statistic a study computes; ``form`` formats it (``{:.3f}``), after ``scale``."""

    key: str
    title: str
    form: str = "{:.3f}"
    scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Row:
    """``settings``: what makes this row different; ``paper``: cells as printed, by column key; ``draws``:
    how many unless ``--draws`` says otherwise; ``note``: a footnote."""

    key: str
    title: str
    settings: dict
    paper: dict
    draws: int = 1
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of one table: ``define`` is one of ``absl.flags``' definers, ``options`` its further arguments.

    A value given replaces the setting of that name in every row or, if the flag ``selects`` a setting, leaves the
    rows where that is among the values given.
    """

    define: Callable
    name: str
    help: str
    options: dict = dataclasses.field(default_factory=dict)
    selects: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """``settings`` are those of every row, ``unsaid`` those of them that its page leaves out; ``notes`` are printed
    below the footnotes of the rows; ``flags``: `Flag`.

    A table without any paper's numbers is a study of our own, and shows ours alone.
    """

    name: str
    title: str
    columns: tuple
    rows: tuple
    settings: dict
    notes: tuple = ()
    flags: tuple = ()
    unsaid: tuple = ()

    @property
    def has_paper(self):
        return any(row.paper for row in self.rows)


@dataclasses.dataclass
class Result:
    """What a study says about one row.

    ``cells``: by column key, ``{"mean", "sd", "interval"}``, each None where it is not defined; absent
    keys were not measured. ``notes``: footnotes found while running.
    """

    cells: dict
    notes: tuple = ()


def write(table, out, name, head, results, payload, sections="", figures=None):
    """Writes ``<name>.md``, ``<name>.json`` and ``<name>_<figure>.png`` into ``out``.

    Args:
        table: a `Table`.
        out: a folder, made if needed.
        name: of the files.
        head: paragraphs above the table, a list of strings.
        results: dict of `Result` by row key; rows without one were not run.
        payload: what the JSON holds besides the cells.
        sections: markdown below the table.
        figures: matplotlib figures by name.

    Returns:
        The table as plain text, for a terminal.
    """
    out, figures = Path(out), figures or {}
    for key, figure in figures.items():
        overlay.save(figure, out / f"{name}_{key}.png", dpi=100)
    rows, footnotes = _cells(table, results, spread=True)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    links = [f"![{key}]({name}_{key}.png)" for key in figures]
    blocks = [f"# {table.title}", *head, "\n".join(lines), "  \n".join(footnotes), sections.strip(), *links]
    storage.write(out / f"{name}.md", ("\n\n".join(b for b in blocks if b) + "\n").encode())
    # JSON has no NaN: what is not defined is null.
    payload = json.loads(json.dumps(payload), parse_constant=lambda _: None)
    cells = [
        {
            "row": row.title,
            "paper": row.paper,
            "ours": results[row.key].cells if row.key in results else None,
            "notes": _notes(row, results),
        }
        for row in table.rows
    ]
    storage.write(out / f"{name}.json", _lines({"title": table.title, "rows": cells, **payload}).encode())
    rows, footnotes = _cells(table, results, spread=False)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    grid = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([table.title, *(["each cell: paper / ours"] * table.has_paper), "", *grid, "", *footnotes])


def _lines(payload):
    """JSON with a line for each key, and for each item of a list: thousands of scores stay readable in a diff."""

    def dump(value):
        if isinstance(value, list):
            return "[\n" + ",\n".join("  " + json.dumps(v, allow_nan=False) for v in value) + "\n ]"
        return json.dumps(value, allow_nan=False)

    return "{\n" + ",\n".join(f" {json.dumps(k)}: {dump(v)}" for k, v in payload.items()) + "\n}\n"


def _notes(row, results):
    found = results[row.key].notes if row.key in results else ("Not run.",)
    return [note for note in (row.note, *found) if note]


def _cells(table, results, spread):
    """Rows of strings, the head first, and numbered footnotes."""
    footnotes, rows = [], [["", *(c.title for c in table.columns)]]
    for row in table.rows:
        marks = []
        for note in _notes(row, results):
            if note not in footnotes:
                footnotes.append(note)
            marks.append(footnotes.index(note) + 1)
        cells = results[row.key].cells if row.key in results else {}
        ours = [_format(c, cells.get(c.key), spread) for c in table.columns]
        if table.has_paper:
            ours = [f"{row.paper.get(c.key, '–')} / {cell}" for c, cell in zip(table.columns, ours, strict=True)]
        rows.append([row.title + (f" [{','.join(map(str, sorted(marks)))}]" if marks else ""), *ours])
    return rows, [*(f"[{k}] {note}" for k, note in enumerate(footnotes, 1)), *table.notes]


def _format(column, cell, spread):
    if cell is None or cell["mean"] is None:
        return "–"
    form, scale = column.form, column.scale
    text = form.format(cell["mean"] * scale)
    if spread and cell.get("sd") is not None:
        text += " ± " + form.format(cell["sd"] * scale)
    if spread and cell.get("interval") is not None:
        low, high = cell["interval"]
        text += f" ({form.format(low * scale)} to {form.format(high * scale)})"
    return text
