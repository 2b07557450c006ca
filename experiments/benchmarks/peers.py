"""Beside anomalib's PatchCore: the same images, the same draws, the same backbone weights.

    pip install -e ".[peers]"                                     # or into another environment, and then:
    python -m experiments.benchmarks.peers --python=OTHER/bin/python
    python -m experiments.benchmarks.peers --sets=magnetic_tile --fits=1

What you will see: for each data set a line of anomalib's PatchCore with EfficientNet-Lite0 (its memory bank from 16
good images, its F1-adaptive threshold from 4 held-out good and 8 defective ones), one of fsad with the same network,
and one of fsad as it is by default; AUROC, F1 at its own threshold, the largest F1, time of a fit, time of an image
from its file to its score, and peak memory. Each fit has a process of its own and they take turns, so times compare;
written to results/benchmark_peers.md. Half an hour on two cores. Interrupted, it goes on where it was.
Expected: much the same ranking by one backbone; the default ahead of both.
"""

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags
from tqdm import tqdm

from experiments import data, digests, runner, statistics
from experiments.ablations import few
from experiments.benchmarks import patchcore
from experiments.page import machine, write_text
from fsad.backbones import efficientnet_lite, pytorch_file
from fsad.files import atomic_file

flags.DEFINE_list("sets", ["magnetic_tile", "kolektorsdd", "aws_alien", "elpv_mono"], "data sets")
flags.DEFINE_string("python", sys.executable, "an interpreter that has anomalib")
flags.DEFINE_integer("fits", 5, "draws of each", lower_bound=1)
flags.DEFINE_string("job", None, "measure one fit of fsad, by a file that this command wrote for itself")
FLAGS = flags.FLAGS
SIDE = 256  # as anomalib resizes images by default; at 320 its fit does not fit into 24 GB beside anything else
KEPT = ("_conv_stem", "_bn0", "_blocks")  # what both networks have: without head and classes
PATCHCORE = {
    "backbone": "tf_efficientnet_lite0",
    "layers": ["blocks.2", "blocks.4"],  # of strides 8 and 16, as PatchCore's layers 2 and 3 of a ResNet
    "sampling_ratio": 0.1,
    "side": SIDE,
}
CONTENDERS = {
    "anomalib's PatchCore, EfficientNet-Lite0": None,
    "fsad, EfficientNet-Lite0": {"backbone": "efficientnet_lite0"},
    "fsad, the default": {},
}
RESULTS = runner.ROOT / "results" / "benchmark_peers.json"


def job(name, seed):
    """The images of a draw, as paths, and the labels of those to be tested."""
    settings = {**data.known(name), **few.TABLE.settings, "data": name, "seed": seed}
    dataset = few._labelled(data.of(settings))
    shots = data.shots(dataset, settings, np.random.default_rng(seed))
    parts = {"good": [*shots.anchors, *shots.good], "defective": shots.defective, "test": shots.test}
    return {
        **{role: [str(s.path) for s in samples] for role, samples in parts.items()},
        "groups": [s.group for s in parts["good"]],
        "fields": data.test_fields(shots.test, dataset),
        "seed": seed,
    }


def fsad_fit(one):
    """What the job of a contender of ours gives, in a process of its own."""
    begun = time.perf_counter()
    import fsad

    started = time.perf_counter() - begun
    begun = time.perf_counter()
    detector = fsad.Detector(**one["settings"], seed=one["seed"], group_pattern=one["group_pattern"])
    detector.fit(one["good"], one["defective"], progress=False)
    fit_seconds, milliseconds = time.perf_counter() - begun, []
    for path in [one["test"][0], *one["test"][: patchcore.TIMED]]:  # the first compiles
        begun = time.perf_counter()
        detector.score(path)
        milliseconds.append(1000 * (time.perf_counter() - begun))
    return {
        "scores": detector.score(one["test"]).tolist(),
        "threshold": detector.threshold.value,
        "fit_seconds": fit_seconds,
        "milliseconds": float(np.median(milliseconds[1:])),
        "start_seconds": started,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def measure(name, settings, drawn, weights, cache):
    """The result of a contender on a draw, from the cache if it was measured before."""
    one = {**drawn, **({**PATCHCORE, "weights": str(weights)} if settings is None else {"settings": settings})}
    one["group_pattern"] = data.known(name)["group_pattern"]
    code = [digests.code_version(module) for module in ("experiments.benchmarks.peers", "fsad.detector")]
    key = hashlib.sha256(json.dumps([one, code, settings is None], sort_keys=True).encode()).hexdigest()[:20]
    path = cache / f"{key}.json"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            file, out = Path(folder) / "job.json", Path(folder) / "result.json"
            file.write_text(json.dumps({**one, "out": str(out)}))
            if settings is None:
                command = [FLAGS.python, patchcore.__file__, str(file)]
            else:
                command = [sys.executable, "-m", "experiments.benchmarks.peers", f"--job={file}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
            if done.returncode:
                reason = [text for text in done.stderr.splitlines() if "%|" not in text][-8:]
                raise RuntimeError(f"{' '.join(command)} failed: {'; '.join(reason)}")
            with atomic_file(path, "w") as written:
                written.write(out.read_text())
    return json.loads(path.read_text())


def line(name, contender, results):
    """A line of the table, from ``(job, result)`` of each draw."""
    draws = [statistics.draw(drawn["fields"], r["scores"], r["threshold"]) for drawn, r in results]
    cells, _ = statistics.cells(few._statistics, ("auroc", "f1", "f1_max"), draws)
    plain = {key: statistics.spread([r[key] for _, r in results]) for key in ("fit_seconds", "milliseconds")}
    return {
        "data": name,
        "": contender,
        "AUROC": statistics.shown(cells["auroc"]),
        "F1": statistics.shown(cells["f1"]),
        "F1-max": statistics.shown(cells["f1_max"]),
        "fit": statistics.shown(plain["fit_seconds"], "{:.1f}") + " s",
        "per image": statistics.shown(plain["milliseconds"], "{:.0f}") + " ms",
        "peak memory": f"{max(r['megabytes'] for _, r in results) / 1000:.1f} GB",
    }


def main(_):
    if FLAGS.job:
        one = json.loads(Path(FLAGS.job).read_text())
        Path(one["out"]).write_text(json.dumps(fsad_fit(one)))
        return
    cache = data.CACHE / "peers"
    cache.mkdir(parents=True, exist_ok=True)
    arrays = pytorch_file.read(efficientnet_lite.locate())
    kept = [a for key, a in arrays.items() if not key.endswith("num_batches_tracked") and key.startswith(KEPT)]
    weights = cache / "efficientnet_lite0.npz"
    np.savez(weights, **{f"{k:04d}": a for k, a in enumerate(kept)})
    results = {name: {contender: [] for contender in CONTENDERS} for name in FLAGS.sets}
    with tqdm(total=len(FLAGS.sets) * FLAGS.fits * len(CONTENDERS), desc="fits", unit="fit") as bar:
        for name in FLAGS.sets:
            for seed in range(FLAGS.fits):
                drawn = job(name, seed)
                for contender, settings in CONTENDERS.items():
                    found = measure(name, settings, drawn, weights, cache)
                    results[name][contender].append((drawn, found))
                    bar.update(1)
    lines = [line(name, contender, found) for name, by in results.items() for contender, found in by.items()]
    text = (
        "# Beside anomalib's PatchCore\n\n"
        f"Written by `python -m experiments.benchmarks.peers` on {machine()}. {FLAGS.fits} draws of 16 good and 8 "
        "defective images of each data set, tested on held-out parts; mean ± standard deviation. PatchCore sees "
        f"{SIDE} x {SIDE} pixels and keeps a tenth of its patches as a coreset, with the weights of fsad's "
        "EfficientNet-Lite0; "
        "its threshold is anomalib's F1-adaptive one. *Per image*: from its file to its score, one at a time, median. "
        "Each fit has a process of its own; all take turns on this machine.\n\n"
        f"{statistics.markdown(pd.DataFrame(lines))}\n"
    )
    write_text(RESULTS, {"lines": lines}, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
