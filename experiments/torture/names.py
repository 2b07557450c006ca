"""Names of files made to be taken for something else, and folders of many files."""

import contextlib
import csv
import html
import io
import json
import os
import re
import shutil
import unicodedata

from experiments.torture import Attack, Outcome, fsad

NAMES = (
    "=1+1.png", "+1.png", "-1.png", "@SUM(A1).png", "=cmd|' /C calc'!A0.png", "--csv=x.png", "-rf.png", " space.png",
    "two  spaces.png", "comma,comma.png", 'quote".png', "quote'.png", "semi;colon.png", "tab\t.png", "line\nbreak.png",
    "return\r.png", "both\r\n.png", "\x1b[31mred.png", "\x1b]0;title\x07.png", "bell\x07.png", "back\x08space.png",
    "delete\x7f.png", "nul-ish\x01.png", "<script>alert(1)<%2Fscript>.png", "<img src=x onerror=alert(1)>.png",
    "&amp;.png",
    "</script>".replace("/", "\u2215") + ".png", "{{7*7}}.png", "{% raw %}.png", "${HOME}.png", "$(touch x).png",
    "`id`.png", "a|b.png", "a&b.png", "a>b.png", "back\\slash.png", "%2e%2e%2f.png", "..png", "...png", "~.png",
    "#.png",
    "?.png", "*.png", "[0-9].png", "{a,b}.png", "ünïcode.png", "u\u0308.png", "\u202egnp.exe.png", "\u200b.png",
    "\u2028.png", "\ufeff.png", "\u0000".replace("\0", "\u2400") + ".png", "emoji \U0001f600.png", "\udcff\udcfe.png",
    "long" * 62 + ".png", "CON.png", "aux.PNG", "nan.png", "None.png", "1e999.png",
)  # fmt: skip


def _names(workshop, case):
    failures, made = [], 0
    with workshop.folder() as folder:
        line = folder / "line"
        line.mkdir()
        for name in NAMES:
            with contextlib.suppress(OSError):
                shutil.copy(workshop.images()[0], line / name)
                made += 1
        count = len(list(line.iterdir()))
        score = workshop.run(
            fsad, "score", workshop.detector, line, f"--csv={folder / 'a.csv'}", f"--jsonl={folder / 'a.jsonl'}"
        )
        inspect = workshop.run(fsad, "inspect", workshop.detector, line, f"--report={folder / 'a.html'}")
        listed = sum(not name.startswith(".") for name in os.listdir(line))
        text = (folder / "a.csv").read_bytes().decode()
        rows = list(csv.reader(io.StringIO(text, newline="")))
        lines = [json.loads(entry) for entry in (folder / "a.jsonl").read_text(encoding="utf-8").splitlines()]
        page = (folder / "a.html").read_text(encoding="utf-8")
    if (score.status, inspect.status) != (0, 0):
        failures.append(f"status {score.status}, {inspect.status}: {score.said} {inspect.said}")
    if len(rows) != listed + 1 or len(lines) != listed or {len(row) for row in rows} != {6}:
        failures.append(f"{listed} files, {len(rows) - 1} lines of CSV, {len(lines)} of JSON")
    said = score.text + inspect.text.replace("\r", "\n")  # by which the bar of progress goes back
    for where, output in (("CSV", text), ("terminal", said)):
        if odd := {
            c for c in output if (unicodedata.category(c) == "Cc" and c not in "\n\t") or c in "\u2028\u2029\u202e"
        }:
            failures.append(f"control characters in the {where}: {sorted(odd)}")
    failures += [f"a formula: {row[0]}" for row in rows if row[0][:1] in "=+-@"]
    scripts = re.findall(r"<script[^>]*>", page)
    if len(scripts) != 2 or "<img src=x" in html.unescape(re.sub(r"(?s)<script.*?</script>", "", page)):
        failures.append("a name is markup in the report")
    return Outcome({"names": made, "scored": count}, failures)


def _crowd(workshop, case):
    count = int(case.split()[0])
    with workshop.folder() as folder:
        (folder / "line").mkdir()
        source = folder / "line" / "00000.png"
        shutil.copy(workshop.images()[0], source)
        for k in range(1, count):
            os.link(source, folder / "line" / f"{k:05d}.png")
        ended = workshop.run(
            fsad, "score", workshop.detector, folder / "line", f"--csv={folder / 'a.csv'}", seconds=1200
        )
        lines = (folder / "a.csv").read_bytes().count(b"\n") - 1 if (folder / "a.csv").exists() else 0
    failures = (
        [] if lines == count and ended.status == 0 else [f"{lines} of {count} lines, {ended.status}: {ended.said}"]
    )
    return Outcome({"files": count, "lines": lines}, failures)


ATTACKS = (
    Attack(
        "names", "hostile file names: formulas, escapes, line breaks, markup, not UTF-8, 252 bytes",
        "one line each; no control character, formula or markup gets through",
        "OWASP on CSV injection; GNU ls, which quotes what it shows on a terminal",
        lambda workshop, quick: ["all"], _names,
    ),
    Attack(
        "crowd", "folders of 2,000 and 20,000 files", "a line for each", "–",
        lambda workshop, quick: ["60 files"] if quick else ["2000 files", "20000 files"], _crowd,
    ),
)  # fmt: skip
