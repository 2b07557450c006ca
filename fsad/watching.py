"""New files in a folder, each once, when they are complete; and the rows of what was said of them, delivered.

The folder is looked at again and again, which works on network shares too, where file events do not arrive. A file is
complete when its size and time have stood still for `SETTLED` seconds and it can be read; until then it is waited for,
up to `PATIENCE` seconds. What is done is known from the file of results alone, so a run that was killed goes on.
"""

import dataclasses
import json
import os
import time
import urllib.request
from pathlib import Path

from fsad.files import FsadError, atomic_file, lock
from fsad.images import SUFFIXES

SETTLED = 1.0  # seconds
PATIENCE = 30.0  # seconds that an unreadable file is tried again
TIMEOUT, LONGEST_WAIT = 10, 60  # seconds of a delivery, and between two


class DeliveryError(FsadError, OSError):
    """A web address that took no row, for now."""


class BusyError(FsadError, OSError):
    """A file of results that another process writes."""


@dataclasses.dataclass(frozen=True)
class Mark:
    """One version of a file: its name below the folder, its size and its time."""

    name: str
    size: int
    time: int


class Folder:
    """A folder that files come into.

    Args:
        path: of it.
        results: the file of results (JSON lines), which says what is done.
        leave_out: names of folders at its top that are not looked into.
        clock: seconds, for tests.

    Raises:
        BusyError: another process writes that file.
    """

    def __init__(self, path, results, leave_out=(), clock=time.monotonic):
        self.path, self.results, self.leave_out, self.clock = Path(path), Path(results), set(leave_out), clock
        self.results.parent.mkdir(parents=True, exist_ok=True)
        # Locked until it is closed, by a kill at the latest.
        self._file = open(self.results, "a", encoding="utf-8")  # noqa: SIM115
        if not lock(self._file.fileno()):
            raise BusyError(
                f"{results}: expected a file that no other run of fsad watch writes. Received: one that another does"
            )
        # Of 50,000 files a few megabytes, since no more is kept of a row than its file and verdict.
        self.done = {mark: _short(row) for row in rows(self.results) if (mark := mark_of(row))}
        self._waiting = {}  # marks -> since when they stand still
        self.arrived = False  # whether the last look found a file that the one before had not

    def close(self):
        """Lets another run write the results."""
        self._file.close()

    def ready(self):
        """Marks of the files that are complete and not done, the oldest first."""
        now, marks = self.clock(), {}
        for mark in self._present():
            if mark not in self.done:
                marks[mark] = self._waiting.get(mark, now)
        self.arrived = not marks.keys() <= self._waiting.keys()
        self._waiting = marks  # a file that grew, or went, has another mark or none
        return sorted((m for m, since in marks.items() if now - since >= SETTLED), key=lambda m: (m.time, m.name))

    def waited(self, mark):
        """Seconds that a file has stood still."""
        return self.clock() - self._waiting.get(mark, self.clock())

    def left(self):
        """Rows of files that are done and still there, which a killed run had not moved."""
        return [self.done[mark] for mark in self._present() if mark in self.done]

    def finish(self, mark, row):
        """Notes a file as done; its row keeps the mark."""
        row = {**row, "size": mark.size, "time": mark.time, "file": mark.name}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done[mark] = _short(row)
        self._waiting.pop(mark, None)
        return row

    def move(self, row):
        """Moves a file into the folder of its `destination`; a name that is taken there gets a number."""
        source = self.path / row["file"]
        target = self.path / destination(row) / row["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{source.stem}-{number}{source.suffix}")
        os.replace(source, target)
        return target

    def _present(self):
        for root, folders, names in os.walk(self.path):
            folders[:] = sorted(
                f for f in folders if not f.startswith(".") and not (Path(root) == self.path and f in self.leave_out)
            )
            for name in names:
                path = Path(root, name)
                if path.suffix.lower() not in SUFFIXES or name.startswith("."):
                    continue
                try:
                    status = path.stat()
                except OSError:  # gone meanwhile
                    continue
                yield Mark(path.relative_to(self.path).as_posix(), status.st_size, status.st_mtime_ns)


def rows(path):
    """Yields the rows of a file of JSON lines; a last line that was cut off is dropped, and the file shortened to what
    is whole.
    """
    if not Path(path).exists():
        return
    with open(path, "r+b") as file:
        end = 0
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(end)
                return
            end += len(line)
            yield json.loads(line)


def _short(row):
    return {"file": row["file"], "verdict": row.get("verdict")}


def destination(row):
    """The verdict of a row, or unreadable."""
    return row["verdict"] or "unreadable"


def mark_of(row):
    """The mark that `Folder.finish` put into a row, or None."""
    return Mark(row["file"], row["size"], row["time"]) if "file" in row else None


class Webhook:
    """Delivers the rows of a file of results to a web address, in order, each at least once.

    How far it came stands in a file beside the results, so that nothing is lost when the address does not answer or the
    run is killed.
    """

    def __init__(self, address, results, clock=time.monotonic):
        self.address, self.results, self.clock = address, Path(results), clock
        self.place = self.results.with_name(self.results.name + ".sent")
        self._wait, self._next = 1, 0.0

    def deliver(self):
        """Sends what is not sent yet; returns how many rows were. After a failure it waits, longer each time."""
        if self.clock() < self._next or not self.results.exists():
            return 0
        sent = 0
        with open(self.results, "rb") as file:
            file.seek(int(self.place.read_text()) if self.place.exists() else 0)
            while (line := file.readline()).endswith(b"\n"):
                try:
                    self._post(line)
                except OSError as error:
                    self._next, self._wait = self.clock() + self._wait, min(LONGEST_WAIT, 2 * self._wait)
                    raise DeliveryError(f"{self.address}: {error}; tried again in {self._wait // 2} s") from error
                self._wait, sent = 1, sent + 1
                with atomic_file(self.place, "w") as place:
                    place.write(str(file.tell()))
        return sent

    def _post(self, line):
        request = urllib.request.Request(self.address, line, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            answer.read()
