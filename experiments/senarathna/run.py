"""One run of Senarathna and Wijesinghe (2025): draw the shots, train, test, time, explain."""

import statistics
import time
import timeit

import keras
import numpy as np
import tensorflow as tf

from experiments import data
from experiments.statistics import localisation
from fsad import metrics, scoring, thresholds, training
from fsad.explain import saliency
from fsad.images import read_images
from fsad.recipes import senarathna

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
RATES = ("precision", "recall", "f1", "accuracy")


def train(settings, on_epoch=lambda loss: None):
    """One training and its test, as `experiments.runner` calls it.

    Args:
        settings: `SETTINGS` with ``data``, ``backbone``, ``epochs``, ``precision`` and ``seed``.
        on_epoch: called with the loss after each epoch.

    Returns:
        ``(record, arrays)``. The record holds the shots, the score of every test image and the times; the arrays hold
        the saliency maps of the defective test images (custom CNN only).
    """
    dataset = data.load(settings["data"])
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    recipe = senarathna.build(**{name: settings[name] for name in ("backbone", "weights", "distance", "epochs")})
    masks = [
        data.mask_at(sample, recipe.side) for sample in shots.test if sample.label
    ]  # bad masks fail before training
    support = [*shots.anchors, *shots.good, *shots.defective]
    images, test = (read_images([s.path for s in samples], recipe.side) for samples in (support, shots.test))
    labels = np.array([sample.label for sample in support])
    started = time.perf_counter()
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(logs["loss"]))
    losses = training.fit(recipe, images, labels, rng, callbacks=[progress], precision=settings["precision"])
    seconds = time.perf_counter() - started

    model, count = recipe.model, len(shots.anchors)
    references = scoring.embed(model, images[:count])
    support_scores, test_scores = (
        scoring.dissimilarities(model, scoring.embed(model, some), references) for some in (images[count:], test)
    )
    record = {
        "data": data.describe(dataset),
        "left_out": [[path.relative_to(dataset.folder).as_posix(), reason] for path, reason in dataset.skipped],
        "weights_loaded": recipe.weights,
        "parameters": model.count_params(),
        "size_megabytes": size_megabytes(model),
        "training_seconds": seconds,
        "pair_seconds": pair_latency(model, images[0], test[0]),
        "losses": losses,
        "support": {
            role: [data.path_of(sample, dataset) for sample in getattr(shots, role)]
            for role in ("anchors", "good", "defective")
        },
        "test": {
            **data.test_fields(shots.test, dataset),
            **{how: scoring.reduce(test_scores, how).tolist() for how in scoring.REDUCTIONS},
        },
        "calibrated": {
            how: thresholds.separate(labels[count:], scoring.reduce(support_scores, how)) for how in scoring.REDUCTIONS
        },
    }
    if settings["backbone"] != "custom_cnn":
        return record, {}

    def area(saliency_map, k):
        return None if masks[k] is None else metrics.auroc(masks[k].ravel(), saliency_map.ravel())

    rows = np.flatnonzero([sample.label for sample in shots.test])
    maps = saliency.saliency_maps(model, test[rows], references)
    return {**record, "saliency": localisation(maps, area)}, {"rows": rows, "maps": maps}


def rates(labels, scores, threshold):
    """`RATES` as the paper counts them: positive is "same", a score up to the threshold."""
    by_name = metrics.rates(metrics.confusion(labels == 0, scores <= threshold))
    return [by_name[name] for name in RATES]


def size_megabytes(model):
    """Megabytes (10^6 bytes) of a model with its training state, as Table II counts them.

    Float32 weights, and Adam's two moments for each trainable one: 12 bytes per trainable parameter, 4 per frozen one.
    Under this reading the paper's four sizes come out.
    """
    trainable, frozen = (
        sum(int(np.prod(weight.shape)) for weight in weights)
        for weights in (model.trainable_weights, model.non_trainable_weights)
    )
    return (12 * trainable + 4 * frozen) / 1e6


def pair_latency(model, anchor, image, repeats=20):
    """Median seconds to score one pair, both images through the network, compiled and warm."""
    call = tf.function(lambda a, b: model([a, b], training=False))
    pair = [tf.constant(one[None], tf.float32) for one in (anchor, image)]
    call(*pair)
    return statistics.median(timeit.repeat(lambda: call(*pair).numpy(), number=1, repeat=repeats))
