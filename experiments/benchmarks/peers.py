"""Beside anomalib's PatchCore: the same images, the same draws, the same backbone weights.

    pip install -e ".[peers]"                                     # or into another environment, and then:
    python -m experiments.benchmarks.peers --python=OTHER/bin/python
    python -m experiments.benchmarks.peers --sets=magnetic_tile --fits=1

What you will see: for each data set a line of anomalib's PatchCore with EfficientNet-Lite0 (its memory bank from 16
good images, its F1-adaptive threshold from 4 held-out good and 8 defective ones), its OpenVINO inferencer, the same in
PyTorch without a coreset, the same network by Keras and scikit-learn alone, fsad with the same network and side, and
fsad as it is by default; AUROC, F1 at its own threshold, time of a fit, of an image from its file to its score, images
a second, peak memory, and start to first score. Each fit has a process of its own, all interleaved, so times
compare; written to results/benchmark_peers.md. Half an hour on two cores. Interrupted, it goes on where it was.
Expected: much the same ranking by one backbone; the default ahead of it.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from absl import app, flags
from tqdm import tqdm

from experiments import data, digests, memory, runner, statistics
from experiments.ablations import few
from experiments.benchmarks import patchcore
from experiments.benchmarks.peers_page import NAMES, line, ratios
from experiments.benchmarks.start import measured
from experiments.page import machine, write_text
from fsad.backbones import efficientnet_lite, pytorch_file
from fsad.files import atomic_file

flags.DEFINE_list("sets", ["magnetic_tile", "kolektorsdd", "aws_alien", "elpv_mono"], "data sets")
flags.DEFINE_string("python", sys.executable, "an interpreter that has anomalib")
flags.DEFINE_integer("fits", 5, "draws of each", lower_bound=1)
flags.DEFINE_string("job", None, "measure one fit of ours, by a file that this command wrote for itself")
flags.DEFINE_string("score", None, "likewise, score by what was fitted in this folder")
FLAGS = flags.FLAGS
SIDE = 256  # as anomalib resizes images by default; at 320 its fit does not fit into 24 GB beside anything else
KEPT = ("_conv_stem", "_bn0", "_blocks")  # what both networks have: without head and classes
PATCHCORE = {
    "backbone": "tf_efficientnet_lite0",
    "layers": ["blocks.2", "blocks.4"],  # of strides 8 and 16, as PatchCore's layers 2 and 3 of a ResNet
    "sampling_ratio": 0.1,
    "side": SIDE,
}
JOBS = {  # what is fitted in one process: for its contenders
    "anomalib": PATCHCORE,
    "keras": {"network": "efficientnet_lite0", "side": SIDE},
    "fsad same": {"settings": {"backbone": "efficientnet_lite0", "side": SIDE}},
    "fsad default": {"settings": {}},
}
RESULTS = runner.ROOT / "results" / "benchmark_peers.json"


def job(name, seed):
    """The images of a draw, as paths, and the labels of those to be tested."""
    settings = {**data.known(name), **few.TABLE.settings, "data": name, "seed": seed}
    dataset = data.labelled(data.of(settings))
    shots = data.shots(dataset, settings, np.random.default_rng(seed))
    parts = {"good": [*shots.anchors, *shots.good], "defective": shots.defective, "test": shots.test}
    return {
        **{role: [str(s.path) for s in samples] for role, samples in parts.items()},
        "groups": [s.group for s in parts["good"]],
        "fields": data.test_fields(shots.test, dataset),
        "seed": seed,
    }


def fsad_fit(one):
    """What a job of ours gives, in a process of its own: the detector is fitted and saved, and scores as loaded."""
    begun = time.perf_counter()
    import fsad
    import fsad.fitting  # TensorFlow, which PatchCore's time does not have in it either

    started = time.perf_counter() - begun
    begun = time.perf_counter()
    detector = fsad.Detector(**one["settings"], seed=one["seed"], group_pattern=one["group_pattern"])
    detector.fit(one["good"], one["defective"], progress=False)
    fit_seconds = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder) / "detector")
        command = [sys.executable, "-m", "experiments.benchmarks.peers", f"--job={one['file']}", f"--score={folder}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        program = Path(sys.executable).with_name("fsad")
        start, _ = measured([program, "score", Path(folder) / "detector", one["test"][0]])
    return {
        "threshold": detector.threshold.value,
        "fit_seconds": fit_seconds,
        "import_seconds": started,
        "start_seconds": start,
        "fit_megabytes": memory.peak(),
        **json.loads(done.stdout.splitlines()[-1]),
    }


def fsad_score(one, folder):
    """The detector as saved, in a process that did not fit."""
    import fsad

    detector = fsad.load(Path(folder) / "detector")
    facts = patchcore.scored(one, lambda names: detector.score(names).tolist())
    return {**facts, "megabytes": memory.peak()}


def keras_fit(one):
    """As one would write it with Keras and scikit-learn alone: `predict`, and the distance to the nearest patch."""
    from sklearn.neighbors import NearestNeighbors

    from fsad import backbones
    from fsad.images import read_images

    side, begun = one["side"], time.perf_counter()
    spec = backbones.spec_of(one["network"])
    network, _ = backbones.build(one["network"], "imagenet", side, list(spec.patch_layers))

    def patches(names):
        maps = network.predict(read_images(names, side).astype(np.float32), verbose=0)
        return maps.reshape(len(names), -1, maps.shape[-1])

    bank = patches(one["good"])
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(bank.reshape(-1, bank.shape[-1]))
    fit_seconds = time.perf_counter() - begun

    def scores(names):
        return [float(nearest.kneighbors(some)[0].max()) for name in names for some in patches([name])]

    facts = patchcore.scored(one, scores)
    return {"fit_seconds": fit_seconds, "fit_megabytes": memory.peak(), "threshold": None, **facts}


def measure(what, name, drawn, weights, cache):
    """Results of a job on a draw, contender -> dict, from the cache if it was measured before."""
    one = {**drawn, **JOBS[what], "weights": str(weights), "group_pattern": data.known(name)["group_pattern"]}
    modules = ("experiments.benchmarks.peers", "experiments.benchmarks.patchcore", "fsad.detector", "fsad.scorer")
    code = [digests.code_version(module) for module in modules]
    key = hashlib.sha256(json.dumps([one, code, what], sort_keys=True).encode()).hexdigest()[:20]
    path = cache / f"{key}.json"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            file, out = Path(folder) / "job.json", Path(folder) / "result.json"
            file.write_text(json.dumps({**one, "what": what, "file": str(file), "out": str(out)}))
            if what == "anomalib":
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


DISK = """
import os, site
total = 0
for folder in {*site.getsitepackages()}:
    for root, _, files in os.walk(folder):
        total += sum(os.path.getsize(os.path.join(root, name)) for name in files)
print(total / 1e9)
"""


def disk(python):
    """Gigabytes of the packages that an interpreter has."""
    return float(subprocess.run([python, "-c", DISK], capture_output=True, text=True, check=True).stdout)


def main(_):
    if FLAGS.job:
        one = json.loads(Path(FLAGS.job).read_text())
        if FLAGS.score:
            print(json.dumps(fsad_score(one, FLAGS.score)))
        else:
            result = keras_fit(one) if one["what"] == "keras" else fsad_fit(one)
            Path(one["out"]).write_text(json.dumps({one["what"]: result}))
        return
    cache = data.CACHE / "peers"
    cache.mkdir(parents=True, exist_ok=True)
    arrays = pytorch_file.read(efficientnet_lite.locate())
    body = [a for key, a in arrays.items() if not key.endswith("num_batches_tracked") and key.startswith(KEPT)]
    weights = cache / "efficientnet_lite0.npz"
    np.savez(weights, **{f"{k:04d}": a for k, a in enumerate(body)})
    results = {name: {contender: [] for contender in NAMES} for name in FLAGS.sets}
    with tqdm(total=len(FLAGS.sets) * FLAGS.fits * len(JOBS), desc="fits", unit="fit") as bar:
        for name in FLAGS.sets:
            for seed in range(FLAGS.fits):
                drawn = job(name, seed)
                for what in JOBS:
                    for contender, result in measure(what, name, drawn, weights, cache).items():
                        results[name][contender].append((drawn, result))
                    bar.update(1)
    lines = [line(name, contender, result) for name, by in results.items() for contender, result in by.items()]
    less, sizes = ratios(results), [disk(python) for python in (FLAGS.python, sys.executable)]
    text = (
        "# Beside anomalib's PatchCore\n\n"
        f"Written by `python -m experiments.benchmarks.peers` on {machine()}. {FLAGS.fits} draws of 16 good and 8 "
        "defective images of each data set, tested on held-out parts; mean ± standard deviation, of times and memory "
        f"the median. PatchCore sees {SIDE} x {SIDE} pixels and keeps a tenth of its patches as a coreset, with the "
        "weights of fsad's EfficientNet-Lite0; its threshold is anomalib's F1-adaptive one, without a coreset too. "
        "*One image*: from its file to its score. *Images/s*: all test images. *Memory*: peak of the process that "
        "fits, and of one that only scores. *Start*: a process that loads what "
        "was fitted and scores an image. Fits exclude imports. All take turns on this machine.\n\n"
        f"{statistics.markdown(pd.DataFrame(lines))}\n\n"
        "fsad with PatchCore's network and side, beside PatchCore, medians over data sets and draws: fit "
        f"{less['fit_seconds']:.1f} times as fast, an image {less['milliseconds']:.1f} times, start "
        f"{less['start_seconds']:.1f} times; memory of the fit {less['fit_megabytes']:.0f} times less. Packages on "
        f"disk: {sizes[0]:.1f} GB in anomalib's environment, {sizes[1]:.1f} GB in fsad's with what developers need; a "
        "line PC needs `requirements-line.txt` alone.\n"
    )
    write_text(RESULTS, {"lines": lines, "ratios": less, "disk": sizes}, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
