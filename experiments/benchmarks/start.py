"""How long a command takes from its start to its first score, and how much memory, with TensorFlow and without.

    python -m experiments.benchmarks.start            # 2 minutes on two cores

What you will see: `fsad score` of one image by a saved default detector, whole command, through TensorFlow, as every
detector scored once, through the graph that the detector carries (ONNX Runtime), and through OpenVINO; taken in turns,
the median of five; peak memory of the process. Below, the same of 64 images. Written to results/benchmark_start.md.
Expected: without TensorFlow a fifth of the time and a third of the memory.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from absl import app, flags

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
    text = (
        "# Start to first score\n\n"
        f"Written by `python -m experiments.benchmarks.start` on {machine()}. `fsad score` of images "
        f"of synthetic metal (256 pixels) by the default detector, fitted to 16 of them; commands in turns, medians "
        f"of {FLAGS.start_repeats}.\n\n{statistics.markdown(pd.DataFrame(lines))}\n"
    )
    write_text(RESULTS, {"runs": raw, "lines": lines}, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
