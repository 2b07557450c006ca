"""Places that cannot be written or read as a file is: full, read-only, devices, pipes, loops, hostile names, crowds."""

import contextlib
import csv
import os
import resource
import shutil
import signal
import subprocess
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
)  # fmt: skip
