"""Implementations run interleaved: each in a process of its own, with its own memory, taking turns at the machine."""

import contextlib
import dataclasses
import multiprocessing
import resource
import sys
import time
import traceback
from pathlib import Path

import numpy as np

SHORTEST = 0.3  # seconds; a single call of a millisecond would be timed with cold caches


class Missing(RuntimeError):
    """An implementation that cannot take part here, and why."""


class Over(Exception):
    """No more turns; stops whatever loop an implementation is in."""


@dataclasses.dataclass
class Entry:
    """What came of an implementation: ``seconds`` per unit of work, of each turn that counts; ``megabytes``, the
    most memory its process held during its turns; ``facts`` that it reported; ``missing``: why it took no part."""

    seconds: list = dataclasses.field(default_factory=list)
    megabytes: float = 0.0
    facts: dict = dataclasses.field(default_factory=dict)
    missing: str | None = None

    @property
    def each(self):
        """Median seconds per unit."""
        return float(np.median(self.seconds))

    @property
    def spread(self):
        """Half the distance of the quartiles, relative to the median."""
        low, high = np.percentile(self.seconds, [25, 75])
        return float((high - low) / 2 / np.median(self.seconds))


class Turns:
    """The side of an implementation: it makes ready, then works between `begin` and `end` until `Over`."""

    def __init__(self, pipe):
        self._pipe = pipe
        self.facts = {}
        self._ready = False

    def begin(self):
        """Waits for its turn."""
        if not self._ready:
            self._ready = True
            forget_peak()
            self._pipe.send(("ready", None))
        if self._pipe.recv() == "over":
            raise Over
        self._begun = time.perf_counter()

    def end(self, units=1):
        """Ends the turn, in which ``units`` of work were done."""
        self._pipe.send(("took", (time.perf_counter() - self._begun, units)))

    def repeat(self, call, units=1):
        """A turn is a call of so many units, or as many calls as fill `SHORTEST` seconds."""
        while True:
            self.begin()
            calls, until = 0, time.perf_counter() + SHORTEST
            while not calls or time.perf_counter() < until:
                call()
                calls += 1
            self.end(calls * units)

    def report(self, **facts):
        """Keeps facts for the result."""
        self.facts.update(facts)


def race(contenders, rounds, on_round=lambda: None):
    """Lets implementations take turns, two at a time, of which the second counts.

    Args:
        contenders: name -> ``(function, arguments)``; the function, importable, takes a `Turns` first.
        rounds: turns that count.
        on_round: called after each turn.

    Returns:
        name -> `Entry`, in order.
    """
    spawn, entries, running = multiprocessing.get_context("spawn"), {}, {}
    try:
        for name, (function, arguments) in contenders.items():
            entries[name] = Entry()
            pipe, other_end = spawn.Pipe()
            process = spawn.Process(target=_work, args=(other_end, function, arguments), daemon=True)
            process.start()
            other_end.close()
            running[name] = (process, pipe)
            _receive(entries, running, name)  # one makes ready at a time
        for _ in range(rounds):
            for name in list(running):
                # The first of two warms up: while others had their turn, caches went cold, and a virtual machine may
                # have taken memory back.
                for counts in (False, True):
                    if name in running:
                        running[name][1].send("go")
                        took = _receive(entries, running, name)
                        if took and counts:
                            entries[name].seconds.append(took[0] / took[1])
                on_round()
        for name in list(running):
            running[name][1].send("over")
            if result := _receive(entries, running, name):
                entries[name].megabytes, entries[name].facts = result
    finally:
        for process, pipe in running.values():
            pipe.close()
            process.join(10)
            process.kill()
    return entries


def _receive(entries, running, name):
    process, pipe = running[name]
    try:
        kind, content = pipe.recv()
    except EOFError:
        process.join()
        kind, content = "missing", f"its process ended ({process.exitcode})"
    if kind == "missing":
        entries[name].missing = content
        del running[name]
    return content if kind in ("took", "over") else None


def _work(pipe, function, arguments):
    turns = Turns(pipe)
    try:
        function(turns, *arguments)
    except Over:
        pipe.send(("over", (peak_megabytes(), turns.facts)))
    except (ImportError, Missing) as error:
        pipe.send(("missing", str(error)))
    except Exception as error:
        traceback.print_exc()
        pipe.send(("missing", f"{type(error).__name__}: {error}"))


def forget_peak():
    """Starts the measure of `peak_megabytes` anew, where the system can."""
    with contextlib.suppress(OSError):  # not Linux: the peak is that of the whole life
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes():
    """The most memory this process has held, in 10^6 bytes."""
    try:
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6
