"""anomalib's own PatchCore on given images: run by `experiments.benchmarks.peers`, by an interpreter that has anomalib.

It imports nothing of fsad. ``python patchcore.py JOB.json`` fits, exports and scores, and writes its measurements into
the file that the job names; ``python patchcore.py JOB.json score FOLDER`` is a process that only scores with the
OpenVINO export, ``... start FOLDER`` one that loads what was fitted and scores one image.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

TIMED = 16  # images
HELD_OUT = 5  # of the good images every fifth, as anomalib's Folder splits them to set a threshold


def main(path, what="fit", folder=None):
    job = json.loads(Path(path).read_text())
    if what == "fit":
        Path(job["out"]).write_text(json.dumps(fit(job, path)))
    elif what == "start":
        import torch

        model = torch.load(Path(folder) / "model.pt", weights_only=False)
        print(scores_of(model, job, job["test"][:1]))
    else:
        print(json.dumps(inferred(job, folder)))


def fit(job, path):
    """Measurements of PatchCore with a coreset, of the same without one, and of the OpenVINO export: name -> dict."""
    import tempfile

    import torch
    from anomalib.metrics.threshold.f1_adaptive_threshold import F1AdaptiveThreshold

    # Imported before the clock starts: it takes seconds.
    from anomalib.models.image.patchcore import torch_model  # noqa: F401

    torch.manual_seed(job["seed"])
    begun = time.perf_counter()
    model = fitted(job, job["good"])
    fit_seconds = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        torch.save(model, Path(folder) / "model.pt")
        begun = time.perf_counter()
        subprocess.run([sys.executable, __file__, path, "start", folder], check=True, stdout=subprocess.DEVNULL)
        start = time.perf_counter() - begun
        core = {"fit_seconds": fit_seconds, "start_seconds": start, **scored(job, lambda n: scores_of(model, job, n))}
        core["fit_megabytes"] = _peak()
        begun = time.perf_counter()
        export(model, job, folder)
        export_seconds = time.perf_counter() - begun
        command = [sys.executable, __file__, os.path.abspath(path), "score", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)  # it keeps a cache there
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    openvino = {"fit_seconds": fit_seconds + export_seconds, **json.loads(line)}
    # Its threshold is set on images that the memory bank does not hold.
    held_out = job["good"][::HELD_OUT]
    smaller = fitted(job, [name for name in job["good"] if name not in held_out])
    known = scores_of(smaller, job, held_out + job["defective"])
    metric = F1AdaptiveThreshold(fields=["pred_score", "gt_label"])
    labels = torch.tensor([0] * len(held_out) + [1] * len(job["defective"]))
    threshold = _threshold(metric, torch.tensor(known), labels)
    begun = time.perf_counter()
    plain = fitted({**job, "sampling_ratio": 1}, job["good"])
    without = {"fit_seconds": time.perf_counter() - begun, **scored(job, lambda n: scores_of(plain, job, n))}
    results = {"patchcore": core, "openvino": openvino, "pytorch": without}
    return {name: {"threshold": threshold, **result} for name, result in results.items()}


def scored(job, scores):
    """Scores of the test images, milliseconds of one, images a second of all."""
    milliseconds = []
    for one in [job["test"][0], *job["test"][:TIMED]]:  # the first warms up
        begun = time.perf_counter()
        scores([one])
        milliseconds.append(1000 * (time.perf_counter() - begun))
    begun = time.perf_counter()
    values = scores(job["test"])
    rate = len(job["test"]) / (time.perf_counter() - begun)
    return {"scores": values, "milliseconds": sorted(milliseconds[1:])[TIMED // 2], "rate": rate}


def inferred(job, folder):
    """Measurements of anomalib's OpenVINO inferencer, in a process that did not fit."""
    begun = time.perf_counter()
    from anomalib.deploy import OpenVINOInferencer

    inferencer = OpenVINOInferencer(next(Path(folder).rglob("*.xml")), device="CPU")

    def scores(names):
        arrays = [images_of(job, [name]).numpy()[0].transpose(1, 2, 0) for name in names]
        return [float(inferencer.predict(array).pred_score.ravel()[0]) for array in arrays]

    scores(job["test"][:1])
    return {"start_seconds": time.perf_counter() - begun, **scored(job, scores), "megabytes": _peak()}


def export(model, job, folder):
    """The OpenVINO export of anomalib, without its preprocessing, which is not that of these weights."""
    from anomalib.models import Patchcore

    none = dict.fromkeys(("pre_processor", "post_processor", "evaluator", "visualizer"), False)
    whole = Patchcore(job["backbone"], job["layers"], pre_trained=False, **none)
    whole.model = model
    with contextlib.redirect_stdout(sys.stderr):
        # Its inferencer gives one image; exported for any number, the graph is fixed at the two of its example.
        whole.to_openvino(folder, input_size=(job["side"], job["side"]), onnx_kwargs={"dynamic_axes": None})


def _peak():
    """The most megabytes that this process has held. (`resource` would include those of the one that started it.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def _threshold(metric, scores, labels):
    from types import SimpleNamespace

    metric.update(SimpleNamespace(pred_score=scores, gt_label=labels))
    return float(metric.compute())


def fitted(job, names):
    """PatchCore with a memory bank of these images."""
    import torch
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    model = PatchcoreModel(layers=job["layers"], backbone=job["backbone"], pre_trained=False)
    _load(model, job["weights"])
    model.train()
    with torch.no_grad():
        for name in names:
            model(images_of(job, [name]))
        if job["sampling_ratio"] < 1:
            model.subsample_embedding(job["sampling_ratio"])
        else:
            model.memory_bank = torch.vstack(model.embedding_store)
            model.embedding_store.clear()
    return model.eval()


def _load(model, weights):
    """The arrays in the order of the file into the network, whose own order is the same."""
    import numpy as np
    import torch

    arrays = iter(np.load(weights).values())
    network = model.feature_extractor.feature_extractor
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        array = torch.tensor(next(arrays))
        if array.shape != value.shape:
            raise ValueError(f"Expected {tuple(value.shape)} for {name}. Received: {tuple(array.shape)}")
        state[name] = array
    network.load_state_dict(state)
    network.eval()


def scores_of(model, job, names):
    import torch

    scores = []
    with torch.no_grad():
        for name in names:
            scores.append(float(model(images_of(job, [name])).pred_score))
    return scores


def images_of(job, names):
    """Images as the network expects them: squares of the job's side, minus 127, over 128."""
    import cv2
    import numpy as np
    import torch

    images = [cv2.cvtColor(cv2.imread(name), cv2.COLOR_BGR2RGB) for name in names]
    side = job["side"]
    images = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    return torch.tensor((np.stack(images).astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
