"""What experiments/README.md says in figures: the state of each table, and what the papers' own numbers say.

    python -m experiments.overview

What you will see: two sections of ``experiments/README.md`` written anew, the first from the results beside it, the
second by arithmetic on the cells that the tables hold as printed.
"""

import importlib
import itertools
import json
import re
from pathlib import Path

import numpy as np

from experiments import livieris_table1, senarathna_table1, senarathna_table2, senarathna_table3, study
from fsad import metrics, pairs, storage

ROOT = Path(__file__).parent
PAGE = ROOT / "README.md"
TAKIMOTO = [importlib.import_module(f"experiments.takimoto_table{n}").TABLE for n in range(8, 14)]
TABLES = (
    [m.TABLE for m in (senarathna_table1, senarathna_table2, senarathna_table3)] + TAKIMOTO + [livieris_table1.TABLE]
)
PAIRS = 73  # test pairs of each kind, Senarathna and Wijesinghe (2025)


def states():
    """A line for each result of each of the papers' tables: which rows were run, on what, and how long that took."""
    lines = ["| table | command | data | rows run | training, all draws |", "| --- | --- | --- | --- | --- |"]
    for table in TABLES:
        made = sorted(ROOT.glob(f"results/{table.name}.json")) + sorted(ROOT.glob(f"results/{table.name}_*.json"))
        for path in made:
            found = json.loads(path.read_text())
            rows = [row for row in found["rows"] if row["ours"]]
            title = f"[{_title(table)}](results/{path.stem}.md)"
            data = "; ".join(sorted({run["data"].split(":")[0] for run in found["runs"]}))
            lines.append(f"| {title} | `{found['command']}` | {data} | {len(rows)} of {len(found['rows'])} | "
                         f"{_long(sum(map(_seconds, found['runs'])))} |")  # fmt: skip
        if not made:
            command = f"python -m experiments.{table.name}"
            lines.append(f"| {_title(table)} | `{command}` | – | 0 of {len(table.rows)} | `--dry_run` tells it |")
    return "\n".join(lines)


def _title(table):
    return f"{table.name.split('_')[0].capitalize()}, {table.title.split(':')[0]}"


def _seconds(run):
    if "trained" in run:
        return sum(way["seconds"] for way in run["trained"].values())
    return run.get("training_seconds", 0.0)


def _long(seconds):
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def arithmetic():
    """What follows from the printed cells alone."""
    return "\n\n".join([_senarathna(), _takimoto(), _livieris()])


def _percent(text):
    return float(text.rstrip("%"))


def misprints(row, swapped):
    """The counts ``(tp, fp, fn, tn)`` of 73 + 73 pairs that come nearest to a printed row of Table I.

    Returns:
        ``(counts, keys)``: and the figures that still differ in the last printed digit.
    """
    printed = {k: row.paper[k] for k in ("precision", "recall", "f1", "accuracy")}
    if swapped:
        printed["precision"], printed["recall"] = printed["recall"], printed["precision"]
    best = None
    for tp, fp in itertools.product(range(PAIRS + 1), repeat=2):
        counts = (tp, fp, PAIRS - tp, PAIRS - fp)
        tn = counts[3]
        found = metrics.rates({"tp": tn, "fp": counts[2], "fn": fp, "tn": tp}, positive="same")
        wrong = []
        for key, text in printed.items():
            told = f"{found[key]:.2f}" if key == "f1" else f"{100 * found[key]:.2f}"
            if float(told) != _percent(text):
                wrong.append(key)
        apart = abs(100 * found["accuracy"] - _percent(printed["accuracy"]))
        if best is None or (len(wrong), apart) < best[0]:
            best = (len(wrong), apart), counts, wrong
    return best[1], best[2]


def _senarathna():
    lines = [
        f"**Senarathna and Wijesinghe (2025), Table I.** Test pairs: {PAIRS} same and {PAIRS} different. Counts that "
        "come nearest to a row, with precision and recall as printed, and swapped; and what they do not give:",
        "",
        "| row | as printed: TP, FP, FN, TN | not given | swapped: TP, FP, FN, TN | not given |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in senarathna_table1.TABLE.rows:
        cells = []
        for swapped in (False, True):
            counts, wrong = misprints(row, swapped)
            cells += [", ".join(map(str, counts)), ", ".join(wrong) or "none"]
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fits(row, normal, abnormal):
    """Whether accuracy, recall (of the normal) and specificity of a printed row agree on these test counts."""
    recall, specificity, accuracy = (float(row.paper[k]) for k in ("recall", "specificity", "accuracy"))
    share = normal / (normal + abnormal)
    return abs(share * recall + (1 - share) * specificity - accuracy) <= 0.001 + 1e-9  # each is rounded to 0.001


def _takimoto():
    lines = [
        "**Takimoto et al. (2022), Tables 8 to 13.** Table 4 prints equal numbers of normal and abnormal test "
        "pictures. Accuracy is then the mean of recall and specificity. Rows in which it is, within rounding, and rows "
        "that fit 100 normal pictures beside the printed number of abnormal ones:",
        "",
        "| table | test pictures as printed | rows that fit | rows that fit 100 normal | rows |",
        "| --- | --- | --- | --- | --- |",
    ]
    for table in TAKIMOTO:
        count = table.settings["test_per_class"]
        equal, hundred = (sum(fits(row, n, count) for row in table.rows) for n in (count, 100))
        lines.append(f"| {table.title} | {count} + {count} | {equal} | {hundred} | {len(table.rows)} |")
    a, b = (len(pairs.takimoto(np.repeat([0, 1], n))[0]) for n in ([80, 40], [80, 20]))
    return "\n".join(
        [*lines, "", f"All pairs of 80 normal and 40 abnormal pictures are {a}, of 80 and 20 {b}: as printed."]
    )


def _livieris():
    lines = ["**Livieris et al. (2023), Table 1.** 864 test pairs, half of them the same."]
    for way, cells in livieris_table1.PAPER.items():
        share = _percent(cells["accuracy"]) / 100
        right = round(864 * share)
        lines.append(
            f"{way.capitalize()}: {cells['accuracy']} is {right} of 864 ({right / 864:.2%}); the printed AUC is "
            f"{cells['auc_of_verdicts']}, that accuracy again, as an AUC of verdicts without their scores is."
        )
    return " ".join(lines)


def text(page):
    """The page with both sections as they are now."""
    for name, section in (("states", states()), ("arithmetic", arithmetic())):
        between = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.S)
        page, count = between.subn(lambda found, text=section: found[1] + text + found[2], page)
        if count != 1:
            raise ValueError(f"{PAGE}: expected <!-- {name} --> and <!-- /{name} --> once. Received: {count} times")
    return page


def main(_):
    storage.write(PAGE, text(PAGE.read_text()).encode())
    print(f"Written: {PAGE.relative_to(ROOT.parent)}")


if __name__ == "__main__":
    study.run_main(main)
