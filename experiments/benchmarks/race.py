"""Implementations run interleaved: each in a process of its own, with its own memory, taking turns at the machine."""

import contextlib
import dataclasses
import multiprocessing
import os
import pkgutil
import timeit
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np

from experiments import memory

SHORTEST = 0.3  # seconds of a turn; a single call of a millisecond would be timed with cold caches
LONG = 3.0  # seconds of a call that cold caches do not lengthen by what would show


class Missing(RuntimeError):
    """An implementation that cannot take part here, and why."""


@dataclasses.dataclass
class Work:
    """What an implementation does in its turns: ``call`` does ``units`` of work; ``facts`` about it, which ``call`` may
    add to."""

    call: Callable
    units: float = 1
    facts: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Entry:
    """What came of an implementation: ``seconds`` per unit of work, of each turn; ``megabytes``, the most memory its
    process held during its turns; ``facts`` of its `Work`; ``missing``: why it took no part."""

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


def race(contenders, rounds, on_round=lambda: None):
    """Runs implementations interleaved, the baseline first.

    Args:
        contenders: name -> ``("module:function", arguments)``; the function returns a `Work`.
        rounds: turns of each.
        on_round: called after each turn.

    Returns:
        name -> `Entry`, in order.
    """
    entries = {name: Entry() for name in contenders}
    with contextlib.ExitStack() as stack:
        pools = {name: stack.enter_context(_process()) for name in contenders}
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # to make ready is not timed
            reasons = threads.map(lambda name: _reason(pools[name], *contenders[name]), pools)
        for name, reason in zip(contenders, reasons, strict=True):
            if reason is not None:
                entries[name].missing = reason
                del pools[name]
        for _ in range(rounds):
            for name, pool in pools.items():
                entries[name].seconds.append(pool.submit(_turn).result())
                on_round()
        for name, pool in pools.items():
            entries[name].megabytes, entries[name].facts = pool.submit(_result).result()
    return entries


def alone(function, *arguments):
    """``function(*arguments)`` in a process of its own."""
    with _process() as pool:
        return pool.submit(function, *arguments).result()


def _process():
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _reason(pool, target, arguments):
    """Makes an implementation ready in its process: why it takes no part, None if it does."""
    try:
        return pool.submit(_prepare, target, arguments).result()
    except (ImportError, Missing) as error:  # not installed
        return str(error)
    except Exception as error:  # such as its process ended
        return f"{type(error).__name__}: {error}"


def _prepare(target, arguments):
    global work, compiled
    work, compiled = pkgutil.resolve_name(target)(*arguments), False
    memory.forget_peak()


def _turn():
    """Seconds per unit. The first of two rounds warms up: while others had their turn, caches went cold, and a virtual
    machine may have taken memory back. A long call needs that only once, when it compiles what it runs."""
    global compiled
    for _ in range(2):
        calls, begun = 0, timeit.default_timer()
        while not calls or timeit.default_timer() < begun + SHORTEST:
            work.call()
            calls += 1
        seconds = timeit.default_timer() - begun
        if compiled and calls == 1 and seconds > LONG:
            break
        compiled = True
    return seconds / (calls * work.units)


def _result():
    return memory.peak(), work.facts
