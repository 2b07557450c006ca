"""Attacks on fsad, one file per kind: what is tried, what must happen, and which trusted system does the same.

An `Attack` has cases, named by strings, so that a run that was interrupted goes on. Each is tried in a process of its
own: a crash, a hang or a kill is an outcome like others.
"""

import contextlib
import dataclasses
import faulthandler
import functools
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from experiments import memory


class Outcome(NamedTuple):
    """Of a case: ``counts``, a dict, how often what happened, and ``failures``, a list of sentences."""

    counts: dict
    failures: list


@dataclasses.dataclass(frozen=True)
class Attack:
    """A row of the page.

    Attributes:
        name: unique; what ``--only`` takes.
        what: what is tried, a sentence.
        expected: what must happen.
        reference: which trusted system does or says so.
        cases: a function of the `Workshop` and whether to be quick that lists the names of cases.
        attempt: a function of the `Workshop` and the name of a case that returns its `Outcome`.
        slow: whether it is left out when quick.
    """

    name: str
    what: str
    expected: str
    reference: str
    cases: Callable = dataclasses.field(repr=False)
    attempt: Callable = dataclasses.field(repr=False)
    slow: bool = False


class Ended(NamedTuple):
    """A process that has ended: ``status``, negative for a signal, None if it was stopped for taking too long;
    ``text``: what it wrote to standard output and error; ``seconds``; ``megabytes``: of memory, at most."""

    status: int | None
    text: str
    seconds: float
    megabytes: float

    @property
    def said(self):
        """The last line that it wrote."""
        return (self.text.strip().splitlines() or [""])[-1][:200]


class Workshop:
    """A folder of synthetic parts and a small detector, both made when asked for, and processes to try things in.

    The process that has it computes nothing, so that others can be forked off it in milliseconds.
    """

    def __init__(self, root):
        self.root = Path(root)
        for name in ("fsad.cli", "fsad.detector", "fsad.export.session", "fsad.report", "onnxruntime"):
            importlib.import_module(name)  # once, and not in each process

    @functools.cached_property
    def parts(self):
        """Synthetic metal, 24 good images and 2 of each defect, 96 x 96, in the layout of MVTec AD."""
        self.must(_draw, self.root / "parts")
        return self.root / "parts"

    @functools.cached_property
    def detector(self):
        """Folder of a detector fitted to ``parts`` by filters, which need no weights."""
        self.must(fit, self.parts, self.root / "detector")
        return self.root / "detector"

    def images(self):
        """The test images of ``parts``, paths."""
        return sorted((self.parts / "test").glob("*/*.png"))

    @contextlib.contextmanager
    def folder(self):
        """An empty folder for one case."""
        with tempfile.TemporaryDirectory(dir=self.root, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def must(self, function, *given):
        """Runs a function in a process of its own that has to succeed."""
        ended = self.run(function, *given, seconds=120)
        if ended.status != 0:
            raise RuntimeError(f"Expected {function.__name__} to succeed. Received: {ended.status}\n{ended.text}")

    def start(self, function, *given, log):
        """Forks a process that runs a function and exits with what it returns; its number. What it writes goes to the
        open file ``log``."""
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child:
            return child
        status = 70
        try:
            os.dup2(log, 1)
            os.dup2(log, 2)
            faulthandler.disable()  # a crash is an outcome
            # Anew: those of before remember whether they were files or pipes.
            sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
            status = function(*given)
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 2
        except BaseException:
            os.write(2, traceback.format_exc().encode(errors="replace"))
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status if isinstance(status, int) else 0)  # whatever happens: this is not the process it was

    def run(self, function, *given, seconds=120, kill_after=None):
        """An `Ended` of a function in a process of its own.

        Args:
            seconds: after which it is stopped.
            kill_after: seconds after which it is killed in the middle of what it does.
        """
        reader, writer = os.pipe()  # no file, which the process may be kept from writing
        os.set_blocking(reader, False)
        begun, peak, text, ended = time.monotonic(), 0.0, [], None
        child = self.start(function, *given, log=writer)
        os.close(writer)
        while ended is None:
            peak = max(peak, memory.peak(child))
            text.append(_read(reader))
            done, status = os.waitpid(child, os.WNOHANG)
            passed = time.monotonic() - begun
            if done:
                ended = os.waitstatus_to_exitcode(status)
            elif kill_after is not None and passed >= kill_after:
                os.kill(child, signal.SIGKILL)
                ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            elif passed > seconds:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            else:
                time.sleep(0.005)
        text.append(_read(reader))
        os.close(reader)
        said = b"".join(text).decode(errors="replace")
        return Ended(ended, said, time.monotonic() - begun, peak)


def fsad(*arguments):
    """The command ``fsad``, to be run in a process of its own."""
    from fsad import cli

    return cli.main([str(argument) for argument in arguments])


def copy(source, target):
    """A copy of a folder."""
    shutil.copytree(source, target)
    return target


def _read(pipe):
    """What there is to read."""
    data = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(pipe, 65536):
            data += piece
    return data


def _draw(folder):
    from fsad import synthetic

    synthetic.write(folder, "metal", good=24, defective=2, size=96)


def fit(parts, folder, seed=0):
    """Fits and saves the small detector."""
    import fsad as package

    detector = package.Detector(backbone="filter_bank", side=96, smoothing=0, seed=seed)
    detector.fit(parts / "train" / "good", str(parts / "test" / "*" / "000.png"), progress=False).save(folder)
