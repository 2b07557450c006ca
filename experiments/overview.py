"""What experiments/README.md says in figures: the state of each table, and what the papers' own numbers say.

    python -m experiments.overview

What you will see: three sections of ``experiments/README.md`` written anew, two from the results beside it, one by
arithmetic on the cells that the tables hold as printed.
"""

import itertools
import json
import re

import numpy as np
import pandas as pd

from experiments import runner
from experiments.livieris import table1 as livieris
from experiments.senarathna import leaks, table1, table2, table3
from experiments.senarathna.run import RATES, rates
from experiments.statistics import markdown
from experiments.takimoto.tables import TABLES as TAKIMOTO
from fsad import pairs
from fsad.files import atomic_file

PAGE = runner.ROOT / "README.md"
COMMANDS = {module.TABLE.name: module.__name__ for module in (table1, table2, table3, livieris)}
TABLES = [table1.TABLE, table2.TABLE, table3.TABLE, *TAKIMOTO.values(), livieris.TABLE]
PAIRS = 73  # test pairs of each kind, Senarathna and Wijesinghe (2025)


def states():
    """A line for each result of each of the papers' tables: which rows were run, on what, and how long that took."""
    lines = []
    for table in TABLES:
        title = f"{table.name.split('_')[0].capitalize()}, {table.title.split(':')[0]}"
        paths = [runner.ROOT / f"results/{table.name}.json", *sorted(runner.ROOT.glob(f"results/{table.name}_*.json"))]
        results = {path: json.loads(path.read_text()) for path in paths if path.is_file()}
        for path, result in results.items():
            rows, seconds = [row for row in result["rows"] if row["ours"]], sum(map(_seconds, result["runs"]))
            data = "; ".join(sorted({run["data"].split(":")[0] for run in result["runs"]}))
            time = f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
            link, count = f"[{title}](results/{path.stem}.md)", f"{len(rows)} of {len(result['rows'])}"
            lines.append((link, f"`{result['command']}`", data, count, time))
        if not results:
            name = COMMANDS.get(
                table.name, f"experiments.takimoto.tables --table={table.name.removeprefix('takimoto_table')}"
            )
            lines.append((title, f"`python -m {name}`", "–", f"0 of {len(table.rows)}", "see `--dry_run`"))
    return markdown(pd.DataFrame(lines, columns=["table", "command", "data", "rows run", "training, all draws"]))


def _seconds(run):
    return (
        sum(way["seconds"] for way in run["trained"].values()) if "trained" in run else run.get("training_seconds", 0)
    )


def _percent(text):
    return float(text.rstrip("%"))


def misprints(row, swapped):
    """The counts ``(tp, fp, fn, tn)`` of 73 + 73 pairs that come nearest to a printed row of Table I.

    Returns:
        ``(counts, keys)``: and the figures that still differ in the last printed digit.
    """
    printed = [row.paper[key] for key in RATES]
    if swapped:
        printed[:2] = printed[1::-1]
    labels, best = np.repeat([0, 1], PAIRS), None
    for tp, fp in itertools.product(range(PAIRS + 1), repeat=2):  # called same, of the same and of the different
        scores = np.concatenate([np.arange(PAIRS) >= tp, np.arange(PAIRS) >= fp])
        values = dict(zip(RATES, rates(labels, scores, 0.5), strict=True))
        shown = [f"{value if key == 'f1' else 100 * value:.2f}" for key, value in values.items()]
        wrong = [key for key, a, b in zip(RATES, shown, printed, strict=True) if float(a) != _percent(b)]
        gap = abs(100 * values["accuracy"] - _percent(row.paper["accuracy"]))
        if best is None or (len(wrong), gap) < best[0]:
            best = (len(wrong), gap), (tp, fp, PAIRS - tp, PAIRS - fp), wrong
    return best[1:]


def _senarathna():
    lines = []
    for row in table1.TABLE.rows:
        line = [row.title]
        for counts, wrong in (misprints(row, swapped) for swapped in (False, True)):
            line += [", ".join(map(str, counts)), ", ".join(wrong) or "none"]
        lines.append(line)
    head = [
        "row",
        "as printed: TP, FP, FN, TN",
        "mismatches as printed",
        "swapped: TP, FP, FN, TN",
        "mismatches if swapped",
    ]
    return (
        f"**Senarathna and Wijesinghe (2025), Table I.** With {PAIRS} same and {PAIRS} different test pairs, the "
        "counts that come nearest to a row, with precision and recall as printed, and swapped; and the figures that "
        "differ:\n\n" + markdown(pd.DataFrame(lines, columns=head))
    )


def fits(row, normal, abnormal):
    """Whether accuracy, recall (of the normal) and specificity of a printed row agree on these test counts."""
    recall, specificity, accuracy = (float(row.paper[k]) for k in ("recall", "specificity", "accuracy"))
    fraction = normal / (normal + abnormal)
    return abs(fraction * recall + (1 - fraction) * specificity - accuracy) <= 0.001 + 1e-9  # each is rounded to 0.001


def _takimoto():
    lines = []
    for table in TAKIMOTO.values():
        count = table.settings["test_per_class"]
        fitting = (str(sum(fits(row, normal, count) for row in table.rows)) for normal in (count, 100))
        lines.append((table.title, f"{count} + {count}", *fitting, str(len(table.rows))))
    head = ["table", "test images as printed", "rows that fit", "rows that fit 100 normal", "rows"]
    a, b = (len(pairs.all_pairs(np.repeat([0, 1], counts))[0]) for counts in ([80, 40], [80, 20]))
    text = (
        "**Takimoto et al. (2022), Tables 8 to 13.** Table 4 prints equal numbers of normal and abnormal test images. "
        "Accuracy is then the mean of recall and specificity. Rows in which it is, within rounding, and rows that fit "
        "100 normal images beside the printed number of abnormal ones:"
    )
    pairs_text = f"All pairs of 80 normal and 40 abnormal images are {a}, of 80 and 20 {b}: as printed."
    return "\n\n".join([text, markdown(pd.DataFrame(lines, columns=head)), pairs_text])


def _livieris():
    lines = ["**Livieris et al. (2023), Table 1.** 864 test pairs, half of them the same."]
    for way, cells in livieris.PAPER.items():
        right = round(864 * _percent(cells["accuracy"]) / 100)
        lines.append(
            f"{way.capitalize()}: {cells['accuracy']} is {right} of 864 ({right / 864:.2%}); the printed AUC is "
            f"{cells['auc_of_verdicts']}, equal to that accuracy, as the AUC of hard verdicts on balanced classes must "
            "be."
        )
    return " ".join(lines)


def leak_table():
    """The AUROC of the leak study and, behind a stroke, that of six colour numbers; a line for each data set."""
    page = json.loads((runner.ROOT / "results/senarathna_leaks.json").read_text())
    cells = {row["row"]: row["ours"] for row in page["rows"]}

    def cell(title):
        ours = cells[title]
        return " / ".join(f"{ours[key]['mean']:.3f}" for key in ("auroc", "colours")) if ours else "–"

    head = ["network / colours alone", *leaks.WAYS.values()]
    lines = [[title, *(cell(f"{title}: {way}") for way in leaks.WAYS.values())] for _, title, _ in leaks.SETS]
    return markdown(pd.DataFrame(lines, columns=head))


def text(page):
    """The page with its sections as they are now."""
    arithmetic = "\n\n".join([_senarathna(), _takimoto(), _livieris()])
    for name, section in (("states", states()), ("leaks", leak_table()), ("arithmetic", arithmetic)):
        between = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.S)
        page, count = between.subn(lambda match, section=section: match[1] + section + match[2], page)
        if count != 1:
            raise ValueError(f"{PAGE}: expected <!-- {name} --> and <!-- /{name} --> once. Received: {count} times")
    return page


def main(_):
    page = text(PAGE.read_text())
    with atomic_file(PAGE, "w") as file:
        file.write(page)
    print(f"Written: {PAGE.relative_to(runner.ROOT.parent)}")


if __name__ == "__main__":
    runner.run_main(main)
