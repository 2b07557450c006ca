"""Places that cannot be written or read as a file is: full, read-only, devices, pipes, loops, hostile names, crowds."""

import contextlib
import csv
import html
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import unicodedata
from pathlib import Path

from experiments.torture import Attack, Outcome, copy, fsad

EARLIER = b"earlier"
NOBODY = 65534
WRITERS = {
    "score": ("a.csv", lambda target: ("--csv", target)),
    "score jsonl": ("a.jsonl", lambda target: ("--jsonl", target)),
    "score coco": ("a.json", lambda target: ("--coco", target)),
    "inspect": ("a.html", lambda target: ("--report", target)),
    "threshold": ("detector", lambda target: ("--value=7",)),
}
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


def _limited(size, function, *given):
    """Runs a function that may write files of at most ``size`` bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as on a full disk: an error, no signal
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return function(*given)


def _as_nobody(function, *given):
    if os.getuid() == 0:  # whom no permission stops
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    return function(*given)


def _arguments(workshop, verb, folder):
    name, options = WRITERS[verb]
    if verb == "threshold":
        return ("threshold", folder / name, *options(folder / name))
    return (verb.partition(" ")[0], workshop.detector, workshop.parts / "test", *options(folder / name))


def _prepared(workshop, verb, folder):
    """Puts the earlier file there; a function that says whether it is unchanged."""
    path = folder / WRITERS[verb][0]
    if verb == "threshold":
        copy(workshop.detector, path)
        before = {p.name: p.read_bytes() for p in path.iterdir()}
        return lambda: {p.name: p.read_bytes() for p in path.iterdir()} == before
    path.write_bytes(EARLIER)
    return lambda: path.read_bytes() == EARLIER


def _refused(case, ended, unchanged):
    failures = []
    if ended.status != 2:
        failures.append(f"{case}: expected status 2. Received: {ended.status} ({ended.said})")
    if "Traceback" in ended.text:
        failures.append(f"{case}: a traceback, {ended.said}")
    if not unchanged():
        failures.append(f"{case}: what was there before is gone")
    return failures


def _full(workshop, case):
    verb, _, size = case.partition(" at ")
    with workshop.folder() as folder:
        unchanged = _prepared(workshop, verb, folder)
        ended = workshop.run(_limited, int(size), fsad, *_arguments(workshop, verb, folder))
        return Outcome({f"{verb.partition(' ')[0]}: refused, the former stays": 1}, _refused(case, ended, unchanged))


def _mounted(workshop, case):
    """A real file system that is full."""
    verb, _, blocks = case.partition(" with ")
    with workshop.folder() as folder:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={blocks}", "none", folder], capture_output=True)
        if made.returncode:
            return Outcome({"not tried: no file system can be mounted here": 1}, [])
        try:
            unchanged = _prepared(workshop, verb, folder)
            with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
            ended = workshop.run(fsad, *_arguments(workshop, verb, folder))
            return Outcome(
                {f"{verb.partition(' ')[0]}: refused, the former stays": 1}, _refused(case, ended, unchanged)
            )
        finally:
            subprocess.run(["umount", folder], check=True)


def _read_only(workshop, case):
    with workshop.folder() as folder:
        inner = folder / "inner"
        inner.mkdir()
        unchanged = _prepared(workshop, case, inner)
        for path in [workshop.root, *workshop.root.rglob("*")]:
            with contextlib.suppress(OSError):
                path.chmod(path.stat().st_mode | 0o055)
        inner.chmod(0o555)
        ended = workshop.run(_as_nobody, fsad, *_arguments(workshop, case, inner))
        inner.chmod(0o755)
        return Outcome({"refused, the former stays": 1}, _refused(case, ended, unchanged))


ODD = {
    "a pipe": lambda path: os.mkfifo(path),
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "/dev/full": lambda path: path.symlink_to("/dev/full"),
    "/dev/null": lambda path: path.symlink_to("/dev/null"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to(path.with_name("none")),
    "a folder named as an image": lambda path: path.mkdir(),
    "a link to the folder above": lambda path: path.symlink_to(path.parent, target_is_directory=True),
    "an empty file": lambda path: path.touch(),
    "a file of holes, 1 TB": lambda path: (path.touch(), os.truncate(path, 2**40)),
    "a socket": lambda path: _socket(path),
}


def _socket(path):
    import socket

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path)[-100:] if len(str(path)) < 100 else os.path.relpath(path))


def _odd(workshop, case):
    """The others are scored all the same, within a minute."""
    with workshop.folder() as folder:
        (folder / "line").mkdir()
        shutil.copy(workshop.images()[0], folder / "line" / "a.png")
        shutil.copy(workshop.images()[1], folder / "line" / "z.png")
        try:
            ODD[case](folder / "line" / "m.png")
        except OSError as error:
            return Outcome({f"not tried: {error.strerror}": 1}, [])
        ended = workshop.run(fsad, "score", workshop.detector, folder / "line", f"--csv={folder / 'a.csv'}", seconds=60)
        if ended.status is None:
            return Outcome({"hung": 1}, [f"{case}: nothing within a minute"])
        with open(folder / "a.csv", newline="") as file:
            rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    failures = [f"{case}: {name} was not scored" for name in ("a.png", "z.png") if not rows.get(name, {}).get("score")]
    if "Traceback" in ended.text:
        failures.append(f"{case}: a traceback, {ended.said}")
    return Outcome({f"{case}: {rows['m.png']['error'] if 'm.png' in rows else 'passed over'}": 1}, failures)


def _output(workshop, case):
    """A device or pipe as the file to write."""
    ended = workshop.run(fsad, "score", workshop.detector, workshop.parts / "test" / "hole", f"--csv={case}")
    expected = 2 if case == "/dev/full" else 0
    failures = (
        [] if ended.status == expected and "Traceback" not in ended.text else [f"{case}: {ended.status}, {ended.said}"]
    )
    if not Path(case).is_char_device():
        failures.append(f"{case} is no device any more")
    return Outcome({f"{case}: status {ended.status}": 1}, failures)


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


def _sizes(workshop, quick):
    sizes = (0, 300, 100_000) if not quick else (300,)
    cases = [f"{verb} at {size}" for verb in WRITERS for size in sizes]
    small = [f"{verb} at 100000" for verb in ("score", "score jsonl", "score coco")]  # what is less than that fits
    return [case for case in cases if case not in small]


_FULL = "status 2, a sentence, and what was there before as it was"
ATTACKS = (
    Attack(
        "full-limit", "files that may not grow beyond a size (RLIMIT_FSIZE), of " + ", ".join(WRITERS), _FULL,
        "SQLite's tests of I/O errors: each write may fail, and the database is whole afterwards", _sizes, _full,
    ),
    Attack(
        "full-disk", "a file system without a free byte", _FULL, "as above",
        lambda workshop, quick: [f"{verb} with 1500k" for verb in (["score"] if quick else WRITERS)], _mounted,
    ),
    Attack(
        "read-only", "a folder that may not be written, by a user without rights", _FULL, "as above",
        lambda workshop, quick: ["score", "threshold"] if quick else list(WRITERS), _read_only,
    ),
    Attack(
        "odd-files", "in the folder to score: " + ", ".join(ODD),
        "a line with an error, or passed over; the other images scored; within a minute",
        "GNU find and tar: no special file makes them hang",
        lambda workshop, quick: list(ODD)[:: 3 if quick else 1], _odd,
    ),
    Attack(
        "devices", "a device as the file to write", "written straight, and an error where it is full; the device stays",
        "GNU coreutils' tests with /dev/full",
        lambda workshop, quick: ["/dev/full"] if quick else ["/dev/full", "/dev/null", "/dev/zero"], _output,
    ),
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
