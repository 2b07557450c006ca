"""anomalib's own PatchCore on given images: run by `experiments.benchmarks.peers`, by an interpreter that has anomalib.

It imports nothing of fsad. ``python patchcore.py JOB.json`` writes its measurements into the file that the job names.
"""

import json
import resource
import sys
import time
from pathlib import Path

TIMED = 16  # images
HELD_OUT = 5  # of the good images every fifth, as anomalib's Folder splits them to set a threshold


def main(path):
    job = json.loads(Path(path).read_text())
    begun = time.perf_counter()
    import numpy as np
    import torch
    from anomalib.metrics.threshold.f1_adaptive_threshold import F1AdaptiveThreshold

    started = time.perf_counter() - begun
    torch.manual_seed(job["seed"])
    begun = time.perf_counter()
    model = fitted(job, job["good"])
    fit_seconds = time.perf_counter() - begun
    milliseconds = []
    for one in [job["test"][0], *job["test"][:TIMED]]:  # the first warms up
        begun = time.perf_counter()
        scores_of(model, job, [one])
        milliseconds.append(1000 * (time.perf_counter() - begun))
    scores = scores_of(model, job, job["test"])
    # Its threshold is set on images that the memory bank does not hold.
    held_out = job["good"][::HELD_OUT]
    smaller = fitted(job, [name for name in job["good"] if name not in held_out])
    known = scores_of(smaller, job, held_out + job["defective"])
    metric = F1AdaptiveThreshold(fields=["pred_score", "gt_label"])
    labels = torch.tensor([0] * len(held_out) + [1] * len(job["defective"]))
    threshold = _threshold(metric, torch.tensor(known), labels)
    result = {
        "scores": scores,
        "threshold": threshold,
        "fit_seconds": fit_seconds,
        "milliseconds": float(np.median(milliseconds[1:])),
        "start_seconds": started,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    Path(job["out"]).write_text(json.dumps(result))


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
        model.subsample_embedding(job["sampling_ratio"])
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
    main(sys.argv[1])
