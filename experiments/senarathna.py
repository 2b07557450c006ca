"""One run of Senarathna and Wijesinghe (2025): draw the shots, train, test, time, explain."""

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from experiments import data
from fsad import datasets, images, metrics, recipes, scoring, siamese, splits, thresholds, training
from fsad.explain import saliency

# What every table of the paper shares. Epochs, seeds and data sets are the tables' own.
SETTINGS = {
    "distance": "l1",
    "weights": "imagenet",
    "anchors": 8,
    "good": 8,
    "defective": 8,
    "hold_out": None,
    "test_per_class": 73,  # the paper's 146 test pairs, half of them good
}


def check(settings):
    """Raises FileNotFoundError or ValueError, in a moment, for settings that no run can be made with."""
    weights = settings["weights"]
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        raise FileNotFoundError(
            f"{weights}: expected --weights to be imagenet, none or a file. Received: nothing there"
        )
    dataset = datasets.load(data.resolve(settings["data"]))
    splits.check_labels(dataset)
    counts = dataset.counts()
    good, defective = counts.get("good", 0), sum(n for kind, n in counts.items() if kind != "good")
    needed = settings["anchors"] + settings["good"]
    if good <= needed or defective <= settings["defective"]:
        raise ValueError(
            f"{dataset.folder}: expected more than {needed} good and {settings['defective']} defective pictures. "
            f"Received: {good} and {defective}"
        )
    if settings["hold_out"] and settings["hold_out"] not in set(counts) - {"good"}:
        types = ", ".join(sorted(set(counts) - {"good"}))
        raise ValueError(f"Expected --hold_out among {types}. Received: {settings['hold_out']}")


class Progress(keras.callbacks.Callback):
    """Tells the loss after each epoch."""

    def __init__(self, on_epoch):
        super().__init__()
        self.on_epoch = on_epoch

    def on_epoch_end(self, epoch, logs=None):
        self.on_epoch(logs["loss"])


def train(settings, on_epoch=lambda loss: None):
    """One training and its test, as `experiments.study` calls it.

    Args:
        settings: `SETTINGS` with ``data``, ``backbone``, ``epochs``, ``precision`` and ``seed``.
        on_epoch: called with the loss after each epoch.

    Returns:
        ``(record, arrays)``. The record holds what was drawn, every test picture's score and the
        times; the arrays hold saliency maps of the defective test pictures with the custom CNN.
    """
    dataset = data.load(settings["data"])
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    recipe = recipes.senarathna(
        settings["backbone"], settings["weights"], settings["distance"], epochs=settings["epochs"]
    )

    def read(samples):
        return images.read_all([s.path for s in samples], recipe.side)

    # Before the training, so that a bad mask costs nothing.
    masks = [mask_at(s, recipe.side) for s in shots.test]

    anchors, good, defective, test = map(read, (shots.anchors, shots.good, shots.defective, shots.test))
    started = time.perf_counter()
    losses = training.fit(
        recipe, anchors, good, defective, rng, callbacks=[Progress(on_epoch)], precision=settings["precision"]
    )
    seconds = time.perf_counter() - started

    references = scoring.embed(recipe.model, anchors)
    support = scoring.compare(recipe.model, scoring.embed(recipe.model, np.concatenate([good, defective])), references)
    tested = scoring.compare(recipe.model, scoring.embed(recipe.model, test), references)
    support_labels = np.repeat([0, 1], [len(good), len(defective)])
    record = {
        "data": data.describe(dataset),
        "left_out": [[Path(p).relative_to(dataset.folder).as_posix(), reason] for p, reason in dataset.skipped],
        "weights_loaded": recipe.weights,
        "parameters": recipe.model.count_params(),
        "size_megabytes": siamese.size_megabytes(recipe.model),
        "training_seconds": seconds,
        "pair_seconds": pair_latency(recipe.model, anchors[0], test[0]),
        "losses": losses,
        "support": {
            role: [_name(s, dataset) for s in getattr(shots, role)] for role in ("anchors", "good", "defective")
        },
        "test": {
            **data.told(shots.test, dataset),
            **{how: scoring.reduce(tested, how).tolist() for how in scoring.REDUCTIONS},
        },
        "calibrated": {
            how: thresholds.separate(support_labels, scoring.reduce(support, how)) for how in scoring.REDUCTIONS
        },
    }
    arrays = {}
    if settings["backbone"] == "custom_cnn":
        arrays, record["saliency"] = _explain(recipe, shots.test, test, masks, references)
    return record, arrays


def _name(sample, dataset):
    return sample.path.relative_to(dataset.folder).as_posix()


def pair_latency(model, anchor, picture, repeats=20):
    """Median seconds to score one pair, both pictures through the network, compiled and warm."""
    call = tf.function(lambda a, b: model([a, b], training=False))
    a, b = (tf.constant(p[None], tf.float32) for p in (anchor, picture))
    call(a, b)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call(a, b).numpy()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def mask_at(sample, side):
    """The defect mask of a sample at the size of the model, or None."""
    if sample.mask is None:
        return None
    mask = images.resize(images.read_mask(sample.mask).astype(np.uint8) * 255, side) > 127
    return mask if mask.any() else None  # empty as published, or gone at this size


def _explain(recipe, samples, pictures, masks, references):
    """Saliency of the defective test pictures, and how well it finds their masks."""
    rows = [k for k, s in enumerate(samples) if s.label]
    maps = saliency.saliency(recipe.model, pictures[rows], references)
    found = {}
    for k, heat in zip(rows, maps, strict=True):
        if masks[k] is not None:
            area = metrics.auroc(masks[k].ravel().astype(int), heat.ravel())
            found.setdefault(samples[k].kind, []).append(area)
    every = [v for values in found.values() for v in values]
    summary = {
        "pixel_auroc": float(np.mean(every)) if every else None,
        "pictures": len(every),
        "without_mask": len(rows) - len(every),
        "by_kind": {kind: float(np.mean(values)) for kind, values in sorted(found.items())},
    }
    return {"rows": np.array(rows), "maps": maps}, summary
