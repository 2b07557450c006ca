"""`fsad watch` over many files: does its memory grow, and does it go on where it stopped?

    python -m experiments.benchmarks.watch            # 50,000 files, 5 minutes on two cores

What you will see: a folder of 50,000 files (links to 200 synthetic images) is watched by a small detector; memory of
the process and images per second after 1,000, 10,000, ... files. Then it is started again on the same folder: how long
until it knows that all is done. Written to results/benchmark_watch.md.
Expected: memory grows by some 20 MB, for what is done of each file, and the second start takes a second or two more.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags

import fsad
import fsad.images
from experiments import memory, runner, statistics
from experiments.page import machine, write_text
from fsad import synthetic
from fsad.images import write_image

flags.DEFINE_integer("files", 50_000, "to watch", lower_bound=1000)
FLAGS = flags.FLAGS
DISTINCT = 200  # images
RESULTS = runner.ROOT / "results" / "benchmark_watch.json"


def fill(folder, parts, count):
    """``count`` names for `DISTINCT` images."""
    rng, good = np.random.default_rng(0), sorted((parts / "train" / "good").iterdir())
    sources = folder.parent / "sources"
    for k in range(DISTINCT):
        image = fsad.images.read_image(good[k % len(good)])
        write_image(sources / f"{k}.png", np.roll(image, rng.integers(0, 64, 2), (0, 1)))
    for k in range(count):
        below = folder / f"{k // 1000:03d}"
        below.mkdir(exist_ok=True)
        os.link(sources / f"{k % DISTINCT}.png", below / f"{k:06d}.png")


def watch(detector, folder, lines, count):
    """Runs ``fsad watch`` until ``count`` lines are there; ``(lines, seconds, bytes)`` at several times, and seconds
    to the first look."""
    program = Path(sys.executable).with_name("fsad")
    command = [program, "watch", detector, folder, f"--jsonl={lines}", "--until_idle=5"]
    begun, points, known = time.perf_counter(), [], None
    marks = [n for n in (100, 1000, 5000, 10_000, 20_000, 50_000, 100_000) if n < count] + [count]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for text in process.stderr:
            if text.startswith("Watching"):
                known = time.perf_counter() - begun
                break
        done, size = 0, 0
        while process.poll() is None and marks:
            time.sleep(0.2)
            if lines.exists():
                with open(lines, "rb") as file:
                    file.seek(size)
                    new = file.read()
                done, size = done + new.count(b"\n"), size + len(new)
            while marks and done >= marks[0]:
                points.append((marks.pop(0), time.perf_counter() - begun - known, 1e6 * memory.held(process.pid)))
        process.stderr.read()
    return points, known


def main(_):
    with tempfile.TemporaryDirectory() as root:
        root = Path(root)
        parts = synthetic.write(root / "parts", "metal", good=40, defective=1, size=64)
        detector = fsad.Detector(backbone="filter_bank", side=64).fit(parts / "train" / "good", progress=False)
        folder, lines = root / "line", root / "line.jsonl"
        detector.save(root / "detector")
        folder.mkdir()
        fill(folder, parts, FLAGS.files)
        points, first = watch(root / "detector", folder, lines, FLAGS.files)
        again, second = watch(root / "detector", folder, lines, FLAGS.files)
    table = [
        {"files done": f"{count:,}", "memory": f"{size / 2**20:.0f} MB", "images per second": f"{count / seconds:.0f}"}
        for count, seconds, size in points
    ]
    grown = (points[-1][2] - points[0][2]) / 2**20
    text = (
        "# Watching many files\n\n"
        f"Written by `python -m experiments.benchmarks.watch` on {machine()}. A folder of {FLAGS.files:,} files, links "
        f"to {DISTINCT} synthetic images of 64 x 64 pixels; a detector of the filter bank at 64 pixels.\n\n"
        f"{statistics.markdown(pd.DataFrame(table))}\n\n"
        f"Memory grew by {grown:.0f} MB. The first look came {first:.1f} s after the start; started again with all "
        f"{FLAGS.files:,} done, {second:.1f} s after it, at {again[-1][2] / 2**20:.0f} MB.\n"
    )
    write_text(RESULTS, {"points": points, "first": first, "second": second, "again": again}, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
