"""Two processes at one detector, one CSV, one journal: each result is whole, of the one or of the other."""

import collections
import csv
import json
import os
import shutil
import time

from experiments.torture import Attack, Outcome, copy, fsad


def _together(workshop, folder, *calls):
    """Runs calls, tuples of a function and what it is given, at the same time; ``(statuses, texts)``."""
    logs = [open(folder / f"log{k}", "w+b") for k in range(len(calls))]  # noqa: SIM115
    children = [workshop.start(*call, log=log.fileno()) for call, log in zip(calls, logs, strict=True)]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    texts = []
    for log in logs:
        with log:
            log.seek(0)
            texts.append(log.read().decode(errors="replace").strip())
    return statuses, texts


def _save(folder, value, until):
    from fsad.detector import load

    saved = 0
    while time.monotonic() < until:
        try:
            detector = load(folder)
            detector.set_threshold(value)
            detector.save(folder)
        except OSError as error:
            print(type(error).__name__, error)
            return 3
        saved += 1
    print("saved", saved)


def _load(folder, until):
    from fsad import storage

    loaded = 0
    while time.monotonic() < until:
        value = storage.load(folder)[2]["threshold"]["value"]
        loaded += 1
        if value not in (1, 2):
            print("a threshold of", value)
            return 4
    print("loaded", loaded)


def _detector(workshop, case):
    seconds = float(case.split()[0])
    with workshop.folder() as folder:
        detector = copy(workshop.detector, folder / "detector")
        workshop.must(fsad, "threshold", detector, "--value=1")
        until = time.monotonic() + seconds
        writers, reader = [(_save, detector, value, until) for value in (1, 2)], (_load, detector, until)
        statuses, texts = _together(workshop, folder, *writers, reader, reader)
        left = [name for name in os.listdir(folder) if name.startswith(".")]
    failures = [f"status {s}: {text.splitlines()[-1:]}" for s, text in zip(statuses, texts, strict=True) if s]
    failures += [f"left behind: {name}" for name in left]
    counts = collections.Counter()
    for text in texts:
        what, _, number = text.rpartition(" ")
        if what in ("saved", "loaded"):
            counts[what] += int(number)
    return Outcome(counts, failures)


def _table(workshop, case):
    """Both write the whole table; the last to finish has it."""
    with workshop.folder() as folder:
        arguments = ("score", workshop.detector, workshop.parts / "test", f"--csv={folder / 'a.csv'}")
        statuses, _ = _together(workshop, folder, *[(fsad, *arguments)] * 2)
        data = (folder / "a.csv").read_bytes()
        with open(folder / "a.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        left = [name for name in os.listdir(folder) if name.startswith(".")]
    failures = []
    if statuses != [0, 0] or len(rows) != 20 or b"\0" in data or left:
        failures.append(f"status {statuses}, {len(rows)} of 20 lines, left {left}")
    return Outcome({"tables": 2, "whole": 2 - len(failures)}, failures)


def _journal(workshop, case):
    """Two that watch one folder into one file: each line is whole, no image is lost."""
    with workshop.folder() as folder:
        (folder / "line").mkdir()
        for path in workshop.images()[:6]:
            name = folder / "line" / f"{path.parent.name}-{path.name}"
            shutil.copy(path, name)
            os.utime(name, (1, 1))
        arguments = (
            "watch", workshop.detector, folder / "line", f"--jsonl={folder / 'a.jsonl'}", "--move=good", "--every=0.1",
            "--until_idle=1.5",
        )  # fmt: skip
        statuses, texts = _together(workshop, folder, *[(fsad, *arguments)] * 2)
        rows = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
        images, said = len(list((folder / "line").rglob("*.png"))), [text.splitlines()[-1:] for text in texts]
    names = {row["file"] for row in rows if row["verdict"]}
    failures = [] if len(names) == 6 and images == 6 else [f"{len(names)} of 6 images have a line, {images} are there"]
    refused = [k for k in range(2) if statuses[k] == 2 and "another" in " ".join(said[k])]
    if [status for k, status in enumerate(statuses) if status and k not in refused] or len(refused) == 2:
        failures.append(f"status {statuses}: {said}")
    if len(rows) != 6:
        failures.append(f"{len(rows)} lines for 6 images")
    return Outcome({"watchers": 2, "lines": len(rows)}, failures)


ATTACKS = (
    Attack(
        "races-detector", "two processes that load, change and save one detector, two that load it meanwhile",
        "each load is one of the two; no error, nothing left behind",
        "SQLite: readers see a whole state while others write",
        lambda workshop, quick: ["2 seconds"] if quick else [f"20 seconds, {k}" for k in range(3)], _detector,
    ),
    Attack(
        "races-table", "two processes that write one CSV", "the file is the whole table of one of them", "as above",
        lambda workshop, quick: [f"pair {k}" for k in range(1 if quick else 20)], _table,
    ),
    Attack(
        "races-watch", "two processes that watch one folder into one file",
        "one line for each image; the second is refused", "SQLite's lock: the second writer is told that it is busy",
        lambda workshop, quick: [f"pair {k}" for k in range(1 if quick else 10)], _journal,
    ),
)  # fmt: skip
