"""How long a command takes from its start to its first score, and how much memory, with TensorFlow and without.

    python -m experiments.benchmarks.start            # 2 minutes on two cores

What you will see: `fsad score` of one image by a saved default detector, whole command, through TensorFlow, as every
detector scored once, through the graph that the detector carries (ONNX Runtime), and through OpenVINO; taken in turns,
the median of five; peak memory of the process. Below, the same of 64 images. Written to results/benchmark_start.md.
Last, what the packages take on disk that a line PC needs, and those that fsad needs, as they lie in this environment.
Expected: without TensorFlow a fifth of the time, a third of the memory and an eighth of the disk.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from absl import app, flags
from packaging.requirements import Requirement

import fsad
from experiments import data, memory, runner, statistics
from experiments.page import machine, write_text
from fsad.export import runtime

flags.DEFINE_integer("start_repeats", 5, "of each command", lower_bound=1)
FLAGS = flags.FLAGS
RESULTS = runner.ROOT / "results" / "benchmark_start.json"
NAMES = {
    "tensorflow": "TensorFlow, a detector without a graph",
    "onnx": "the graph it carries, ONNX Runtime",
    "openvino": "the same, OpenVINO",
}
RUNTIMES = {"tensorflow": "auto", "onnx": "auto", "openvino": "openvino"}


def measured(command):
    """Seconds and megabytes of a command. (What the system says of the peak of a finished process includes that of the
    one that started it.)"""
    begun, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, memory.peak(process.pid))
            time.sleep(0.01)
        seconds = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"Expected {command} to succeed. Received: status {process.returncode}")
    return seconds, peak


def disk(requirements):
    """Megabytes on disk of the installed distributions that satisfy requirements, and of all that these require."""
    waiting, files, seen = [(text, ()) for text in requirements], set(), set()
    while waiting:
        text, extras = waiting.pop()
        wanted = Requirement(text)
        applies = wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras))
        if not applies or (wanted.name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((wanted.name, frozenset(wanted.extras)))
        distribution = importlib.metadata.distribution(wanted.name)
        files |= {file.locate().resolve() for file in distribution.files or []}
        waiting += [(needed, tuple(wanted.extras)) for needed in distribution.requires or []]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def main(_):
    folder, lines, raw = data.resolve("synthetic-metal"), [], {}
    program = Path(sys.executable).with_name("fsad")
    names = [name for name in NAMES if name != "openvino" or "openvino" in runtime.installed()]
    images = {1: [folder / "test" / "hole" / "000.png"], 64: sorted((folder / "test").glob("*/*.png"))[:64]}
    with tempfile.TemporaryDirectory() as root:
        good = sorted((folder / "train" / "good").iterdir())[:16]
        detector = fsad.Detector().fit(good, progress=False)
        saved = dict.fromkeys(names, detector.save(Path(root) / "detector"))
        with mock.patch("fsad.export.onnx.graph_of", return_value=None):  # as all detectors were
            saved["tensorflow"] = detector.save(Path(root) / "without")
        for count, paths in images.items():
            runs = {name: [] for name in names}
            for repeat in range(FLAGS.start_repeats + 1):
                for name in names:
                    run = measured([program, "score", saved[name], *paths, f"--runtime={RUNTIMES[name]}"])
                    if repeat:  # the first one reads the files of the packages from disk
                        runs[name].append(run)
            raw[count] = runs
            seconds, megabytes = (
                {name: np.array([run[k] for run in turns]) for name, turns in runs.items()} for k in (0, 1)
            )
            for name in names:
                ratio = np.median(seconds["tensorflow"] / seconds[name])
                lines.append(
                    {
                        "images": str(count),
                        "scored by": NAMES[name],
                        "seconds": f"{np.median(seconds[name]):.2f}",
                        "times as fast": "" if name == "tensorflow" else f"{ratio:.1f}",
                        "peak memory": f"{np.median(megabytes[name]):.0f} MB",
                        "of TensorFlow's": ""
                        if name == "tensorflow"
                        else f"{np.median(megabytes[name]) / np.median(megabytes['tensorflow']):.2f}",
                    }
                )
    line = [text for text in (runner.ROOT.parent / "requirements-line.txt").read_text().splitlines() if text[0] != "#"]
    megabytes = {"line": disk(line), "fsad": disk(importlib.metadata.requires("fsad"))}
    text = (
        "# Start to first score\n\n"
        f"Written by `python -m experiments.benchmarks.start` on {machine()}. `fsad score` of images "
        f"of synthetic metal (256 pixels) by the default detector, fitted to 16 of them; commands in turns, medians "
        f"of {FLAGS.start_repeats}.\n\n{statistics.markdown(pd.DataFrame(lines))}\n\n"
        f"Packages on disk: {megabytes['line']:.0f} MB of `requirements-line.txt`, which is all that these commands "
        f"need with ONNX Runtime, and {megabytes['fsad'] / 1000:.1f} GB of all that fsad requires.\n"
    )
    write_text(RESULTS, {"runs": raw, "lines": lines, "disk": megabytes}, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
