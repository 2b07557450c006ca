"""Makes runs, each into a folder of its own: what is finished stays, whatever happens to the others.

The folder of a finished run is named by a digest of all that decides its result: settings, data, weights, library
versions and code. So an interrupted table resumes, and a run that two tables share is made once.
"""

import dataclasses
import json
import math
import os
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import flags, logging
from tqdm import tqdm

from experiments import data, digests
from experiments.page import Row
from fsad.files import atomic_folder

# After each training TensorFlow keeps as much as its weights and their moments take (keras-team/keras#21090): 80 runs
# of paper T would take 14 GB.
MAX_MEMORY = 6e9


@dataclasses.dataclass(frozen=True)
class Run:
    """One training and its test: its row, its settings, the folder of its result. A run that is not ``wanted``, since
    ``--rows`` leaves it out, is shown if it is finished, and not made."""

    row: Row
    settings: dict
    folder: Path
    wanted: bool = True

    @property
    def finished(self):
        return (self.folder / "record.json").is_file()

    def load(self):
        """``(record, arrays)``: a dict of JSON values and a dict of numpy arrays."""
        with np.load(self.folder / "arrays.npz", allow_pickle=False) as arrays:
            return json.loads((self.folder / "record.json").read_text()), dict(arrays)


def make(runs, train):
    """Makes the wanted runs that are not finished; after an interrupt the same command makes the rest.

    Returns:
        What went wrong, by the folder of the run; the other runs are made all the same.
    """
    runs, failures = [run for run in runs if run.wanted], {}
    if finished := sum(run.finished for run in runs):
        print(f"{finished} of {len(runs)} runs are finished already and used again.")
    prepare()
    for number, run in enumerate(runs, 1):
        if run.finished or run.folder in failures:  # the latter: another row of the same run
            continue
        seed, where = run.settings["seed"], f"run {number}/{len(runs)}: {run.row.title} on {run.settings['data']}"
        try:
            make_one(run, train, f"{where}, seed {seed}")
        except KeyboardInterrupt:
            finished = sum(run.finished for run in runs)
            print(f"\nInterrupted. {finished} of {len(runs)} runs are finished; the same command makes the others.")
            raise SystemExit(130) from None
        except Exception as error:  # one row out of memory must not cost the others
            if not isinstance(error, (ValueError, FileNotFoundError)):  # those say what they expected
                logging.exception("%s failed", where)
            failures[run.folder] = failure(run, error)
        if not failures and number < len(runs) and is_command() and memory() > MAX_MEMORY:
            print(f"Starting anew after {number} of {len(runs)} runs, to free {memory() / 1e9:.0f} GB.", flush=True)
            os.execv(
                sys.executable, [sys.executable, *sys.orig_argv[1:]]
            )  # goes on after the finished runs, as after an interrupt
    return failures


def prepare():
    """Before the first run of a process: the same seed gives the same result."""
    logging.set_verbosity(logging.WARNING)
    tf.config.experimental.enable_op_determinism()


def failure(run, error):
    """A line that says why a run failed."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    text = text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"  # what was received stands at the end
    return f"Seed {run.settings['seed']} failed: {text}"


def is_command():
    """Whether this process is a script of `experiments`, which it may replace, and not a test or a notebook."""
    return getattr(sys.modules["__main__"].__spec__, "name", "").startswith("experiments.")


def memory():
    """Bytes that this process holds; 0 where the system does not say."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.is_file() else 0


def make_one(run, train, title):
    """Makes a run, with a bar of its epochs, and keeps its result."""
    data.of(run.settings)  # before the bar of the run, since it draws one of its own
    keras.backend.clear_session()  # frees the model of the previous run
    epochs = run.settings["epochs"] * run.settings.get("trainings", 1)
    rarely = 0.1 if sys.stderr.isatty() else 30  # seconds between two lines of a log
    # The first epoch also computes the features of a frozen backbone: the others soon outweigh it.
    with tqdm(total=epochs, desc=title, unit="epoch", mininterval=rarely, smoothing=0.7) as bar:

        def on_epoch(loss):
            if math.isfinite(loss):  # a recipe that is not trained has none
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        record, arrays = train(run.settings, on_epoch)
    with atomic_folder(run.folder, "a finished run", "record.json") as folder:
        np.savez_compressed(folder / "arrays.npz", **arrays)
        (folder / "record.json").write_text(json.dumps({"settings": run.settings, **record}, indent=1))


def recall(settings, train):
    """The record of one run, made if it is not finished yet: for a study that takes in the run of a table.

    Args:
        settings: all of them, as `plan` makes them; ``train``: as in `remake`.
    """
    folder = Path(flags.FLAGS.cache) / digests.key(digests.decides(settings, train))
    run = Run(Row("", digests.module(train), {}), settings, folder)
    if not run.finished:
        make_one(run, train, f"{settings['data']}, seed {settings['seed']}")
    return run.load()[0]


def by_row(runs):
    """``(row, records)`` of each row that has runs, in order."""
    rows = {}
    for run in runs:
        rows.setdefault(run.row.key, (run.row, []))[1].append(run.load()[0])
    return list(rows.values())
