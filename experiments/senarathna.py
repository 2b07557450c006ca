"""One run of Senarathna and Wijesinghe (2025): draw the shots, train, test, time, explain."""

import time

import keras
import numpy as np
import tensorflow as tf

from experiments import data
from fsad import images, metrics, recipes, scoring, siamese, splits, training
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


class _Progress(keras.callbacks.Callback):
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
    shots = splits.sample_shots(
        dataset,
        rng,
        anchors=settings["anchors"],
        good=settings["good"],
        defective=settings["defective"],
        hold_out=settings["hold_out"],
        test_per_class=settings["test_per_class"] or None,
    )
    recipe = recipes.senarathna(
        settings["backbone"], settings["weights"], settings["distance"], epochs=settings["epochs"]
    )

    def read(samples):
        return images.read_all([s.path for s in samples], recipe.side)

    anchors, good, defective, test = map(read, (shots.anchors, shots.good, shots.defective, shots.test))
    started = time.perf_counter()
    losses = training.fit(
        recipe, anchors, good, defective, rng, callbacks=[_Progress(on_epoch)], precision=settings["precision"]
    )
    seconds = time.perf_counter() - started

    references = scoring.embed(recipe.model, anchors)
    support = scoring.compare(recipe.model, scoring.embed(recipe.model, np.concatenate([good, defective])), references)
    tested = scoring.compare(recipe.model, scoring.embed(recipe.model, test), references)
    support_labels = np.repeat([0, 1], [len(good), len(defective)])
    record = {
        "data": describe(settings["data"], dataset),
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
            "path": [_name(s, dataset) for s in shots.test],
            "label": [s.label for s in shots.test],
            "kind": [s.kind for s in shots.test],
            "group": [s.group for s in shots.test],
            **{how: scoring.reduce(tested, how).tolist() for how in scoring.REDUCTIONS},
        },
        "calibrated": {
            how: scoring.calibrate(support_labels, scoring.reduce(support, how)) for how in scoring.REDUCTIONS
        },
    }
    arrays = {}
    if settings["backbone"] == "custom_cnn":
        arrays, record["saliency"] = _explain(recipe, shots.test, test, references)
    return record, arrays


def describe(name, dataset):
    """The data set for a results page: name, counts, groups; synthetic data is called so."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in dataset.counts().items())
    groups = len({s.group for s in dataset.samples})
    what = "synthetic pictures" if name.startswith("synthetic-") else "pictures"
    text = f"{name.rstrip('/').split('/')[-1]}: {len(dataset.samples)} {what} of {groups} distinct parts ({kinds})"
    return text + (f", {len(dataset.skipped)} files skipped" if dataset.skipped else "")


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


def _explain(recipe, samples, pictures, references):
    """Saliency of the defective test pictures that have a mask, and how well it finds the mask."""
    masked = [k for k, s in enumerate(samples) if s.mask]
    if not masked:
        masked = [k for k, s in enumerate(samples) if s.label][:8]
    maps = saliency.saliency(recipe.model, pictures[masked], references)
    found = {}
    for k, heat in zip(masked, maps, strict=True):
        if samples[k].mask:
            mask = images.resize(images.read_mask(samples[k].mask).astype(np.uint8) * 255, recipe.side) > 127
            area = metrics.auroc(mask.ravel().astype(int), heat.ravel())
            if np.isfinite(area):
                found.setdefault(samples[k].kind, []).append(area)
    every = [v for values in found.values() for v in values]
    summary = {
        "pixel_auroc": float(np.mean(every)) if every else None,
        "pictures": len(every),
        "by_kind": {kind: float(np.mean(values)) for kind, values in sorted(found.items())},
    }
    return {"rows": np.array(masked), "maps": maps}, summary
