"""Teaches a detector its mistakes: false alarms become references, missed defects weigh; the threshold is set anew.

A journal in the detector says what was learned, from which files and by whom, and what it did to scores and threshold;
--undo takes the last entry back. Export again afterwards: exports stay as they were.
"""

import csv
import math
from pathlib import Path

from fsad.commands import arguments, shared

DECISIONS = {"false alarm": "good", "missed": "defect"}  # as the report writes them, and which flag they are


def add_arguments(parser):
    add = parser.add_argument
    add("detector", metavar="DETECTOR", help="folder of a saved detector")
    add("--good", action="append", metavar="PATH", help=f"false alarms: {arguments.PATHS}; may be repeated")
    add("--defect", action="append", metavar="PATH", help="missed defective parts, likewise")
    add("--from", dest="table", metavar="FILE.csv", help="corrections as the report downloads them: path,decision")
    add("--by", metavar="NAME", help="who says so, for the journal")
    add("--undo", action="store_true", help="forget what was learned last")
    add("--journal", action="store_true", help="show what was learned so far")


def run(options):
    given = {"good": list(options.good or []), "defect": list(options.defect or [])}
    if options.table:
        for name, paths in corrections(options.table).items():
            given[name] += paths
    if sum(map(bool, (any(given.values()), options.undo, options.journal))) != 1:
        raise ValueError("Expected one of images to learn from, --undo and --journal. Received: none or several")
    given = {name: shared.find(paths) if paths else None for name, paths in given.items()}
    detector = shared.load(options.detector)
    if options.journal:
        print("\n".join(map(_entry, detector.fitted.journal)) or "Nothing was learned yet.")
        return 0
    shared.start_tensorflow()
    before = detector.threshold.value
    if options.undo:
        forgotten = detector.fitted.journal[-1:]
        detector.undo()
        print(f"Forgotten: {_entry(forgotten[0])}")
    else:
        entry = detector.learn(**given, by=options.by)
        print(_entry(entry))
        for image in entry["images"]:
            if image["role"] == "defective" and (image["score_after"] or -math.inf) <= detector.threshold.value:
                print(
                    f"Note        {shared.printable(image['name'])} is still called good. Lower the threshold, or fit "
                    "with a larger --side: at this one its defect hardly shows."
                )
    print(f"Threshold   {before:.4g} before\n{shared.threshold_text(detector.threshold)}")
    shared.save(detector, options.detector)
    return 0


def corrections(path):
    """Paths by flag, from a table with the columns ``path`` and ``decision``."""
    paths = {name: [] for name in DECISIONS.values()}
    with Path(path).open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if not {"path", "decision"} <= set(table.fieldnames or ()):
            raise ValueError(f"{path}: expected the columns path and decision. Received: {table.fieldnames}")
        for row in table:
            if row["decision"] not in DECISIONS:
                raise ValueError(
                    f"{path}, line {table.line_num}: expected a decision among {', '.join(DECISIONS)}. "
                    f"Received: {row['decision']!r}"
                )
            paths[DECISIONS[row["decision"]]].append(row["path"])
    return paths


def _entry(entry):
    """An entry of the journal as lines."""
    by = f" by {shared.printable(entry['by'])}" if entry["by"] else ""
    before, after = entry["threshold_before"]["value"], entry["threshold_after"]
    lines = [f"{entry['time']}{by}: threshold {before:.4g} to {after:.4g}"]
    for image in entry["images"]:
        after = "no held-out score" if image["score_after"] is None else f"{image['score_after']:.4g}"
        lines.append(
            f"  {shared.printable(image['name'])}: {image['role']}, score {image['score_before']:.4g} to {after}"
        )
    return "\n".join(lines)
