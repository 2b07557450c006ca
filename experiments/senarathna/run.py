"""One run of Senarathna and Wijesinghe (2025): draw the shots, train, test, time, explain.

Besides the honest test, on parts that training never saw, a run records two that are not: on other photographs of the
parts it was trained on, and on the training images (`experiments.senarathna.leaks` compares them). Beside each score
stands that of `fsad.colours`' rule, fitted to the six colour numbers of the same training images.
"""

import dataclasses
import inspect
import statistics
import time
import timeit

import keras
import numpy as np
import tensorflow as tf

from experiments import data
from experiments.statistics import localisation
from fsad import colours, metrics, scoring, siamese, thresholds, training
from fsad.explain import saliency
from fsad.images import read_images
from fsad.recipes import senarathna

RECIPE = {name: argument.default for name, argument in inspect.signature(senarathna.build).parameters.items()}
# What every table of the paper shares. Backbones, epochs, seeds and data sets are the tables' own. Of `leaks` only:
# ``normalise`` each image to one mean and contrast, and ``split_pairs``, which see.
SETTINGS = {
    **RECIPE,
    "normalise": False,
    "split_pairs": False,
    "anchors": 8,
    "good": 8,
    "defective": 8,
    "hold_out": None,
    "test_per_class": 73,  # 146 test pairs, half of them good, is what the printed rates of the paper fit
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
    dataset = data.of(settings)
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    recipe = senarathna.build(**{name: settings[name] for name in RECIPE})
    masks = [
        data.mask_at(sample, recipe.side) for sample in shots.test if sample.label
    ]  # bad masks fail before training
    support = [*shots.anchors, *shots.good, *shots.defective]
    images, test = (_read(samples, recipe.side, settings["normalise"]) for samples in (support, shots.test))
    labels = np.array([sample.label for sample in support])
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(logs["loss"]))
    options = {"callbacks": [progress], "precision": settings["precision"]}
    if settings["split_pairs"]:
        return {"data": data.describe(dataset, settings), **split_pairs(recipe, images, labels, rng, options)}, {}
    started = time.perf_counter()
    losses = training.fit(recipe, images, labels, rng, **options)
    seconds = time.perf_counter() - started

    model, count = recipe.model, len(shots.anchors)
    references = scoring.embed(model, images[:count])

    def dissimilarities(some):
        return scoring.dissimilarities(model, scoring.embed(model, some), references)

    support_scores, test_scores = dissimilarities(images[count:]), dissimilarities(test)
    parts, known = {sample.group for sample in support}, set(support)
    others = [s for s in dataset.samples if s.group in parts and s not in known]
    other_scores = dissimilarities(_read(others, recipe.side, settings["normalise"])) if others else None
    by_colour = colour_scores(dataset, support)
    record = {
        "data": data.describe(dataset, settings),
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
            "colours": by_colour(shots.test),
        },
        "leaks": {
            name: {
                "label": [s.label for s in samples],
                "group": [s.group for s in samples],
                "mean": scoring.reduce(scores, "mean").tolist(),
                "colours": by_colour(samples),
            }
            for name, samples, scores in (
                ("other photographs", others, other_scores),
                ("training images", support[count:], support_scores),
            )
            if samples
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


def _read(samples, side, normalise):
    """Images ``(n, side, side, 3)``, uint8; normalised, each has mean 128 and deviation 50 over its values."""
    images = read_images([s.path for s in samples], side)
    if not normalise:
        return images
    values = images.astype(np.float32)
    mean, deviation = (f(values, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
    return np.clip((values - mean) / np.maximum(deviation, 1e-3) * 50 + 128, 0, 255).astype(np.uint8)


def colour_scores(dataset, support):
    """``samples -> scores``, a list, by `fsad.colours.rule` fitted to the colour numbers of the support."""
    numbers = dict(zip(dataset.samples, dataset.colours, strict=True))
    rule = colours.rule().fit([numbers[s] for s in support], [s.label for s in support])
    return lambda samples: rule.decision_function([numbers[s] for s in samples]).tolist()


def split_pairs(recipe, images, labels, rng, options, test=0.2):
    """The leak of splitting pairs after augmentation: of all pairs a random fraction is for the test, whose images are
    copies, mirrored or brighter, of those of the training pairs.

    Returns:
        What a record holds: ``weights_loaded`` and a ``test`` of pairs, in which a label and a group are those of the
        second image.
    """
    expanded, index, pair_labels = training.augmented(recipe.augment, images, *recipe.pairing(labels))
    expanded, copies = np.asarray(expanded), len(expanded) // len(images)
    order = rng.permutation(len(index))
    tested, trained = np.split(order, [round(test * len(order))])
    whole = dataclasses.replace(recipe, augment=None)  # augmented already
    pairs = (index[trained], pair_labels[trained])
    training.fit(whole, expanded, np.repeat(labels, copies), rng, pairs=pairs, **options)
    embeddings = scoring.embed(recipe.model, expanded)
    sides = [embeddings[index[tested][:, side]] for side in (0, 1)]
    scores = np.asarray(siamese.parts(recipe.model).distance(sides))[:, 0]
    numbers = np.array([colours.colours(expanded[row]) for row in index[:, 1]])
    rule = colours.rule().fit(numbers[trained], pair_labels[trained, 0])
    return {
        "weights_loaded": recipe.weights,
        "test": {
            "label": pair_labels[tested, 0].astype(int).tolist(),
            "group": (index[tested][:, 1] // copies).tolist(),
            "mean": scores.tolist(),
            "colours": rule.decision_function(numbers[tested]).tolist(),
        },
    }


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
