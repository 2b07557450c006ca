"""One run of Takimoto et al. (2022): draw, train on all pairs, judge, localise.

Methods I (backbone alone), II (with attention behind the N-th convolution) and III (with the branch too, weight w) are
judged by the nearest training image (accuracy, recall of the normal, specificity of the abnormal images) and by the
distance to the centroid of the normal ones (AUC).

The paper's test counts contradict each other: Tables 4 and 5 print as many normal as abnormal images
(``--protocol=printed``, the default), but in Tables 9, 10 and 13 accuracy is not the mean of recall and specificity: it
fits 100 normal test images (``--protocol=accuracy``).
"""

import functools
import inspect
import time

import keras
import numpy as np
from scipy.spatial.distance import cdist

from experiments import data
from experiments.statistics import localisation
from fsad import backbones, pairs, siamese, training
from fsad.evaluation import pixel_auroc
from fsad.explain import attention
from fsad.images import read_images
from fsad.recipes import takimoto

TIMED_SIDE = 96  # pixels
RECIPE = {name: argument.default for name, argument in inspect.signature(takimoto.build).parameters.items()}
SETTINGS = {**RECIPE, "position": None, "branch_weight": 0.0, "batching": "pairs"}
SETTINGS |= {"normal": 80, "hold_out": None, "protocol": "printed"}


def check(settings):
    """Raises FileNotFoundError or ValueError, in a moment, for settings that no run can be made with."""
    data.check_shots(_roles(settings))
    backbones.attention_layer(settings["backbone"], settings["position"])


def _roles(settings):
    return {**settings, "anchors": 0, "good": settings["normal"], "defective": settings["abnormal"]}


def build(settings):
    """The recipe of a run, untrained."""
    return takimoto.build(**{name: settings[name] for name in RECIPE})


def train(settings, on_epoch=lambda loss: None):
    """One training and its test, as `experiments.runner` calls it."""
    dataset = data.of(settings)
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, _roles(settings), rng, test_good=100 if settings["protocol"] == "accuracy" else None)
    recipe, support = build(settings), shots.good + shots.defective
    labels = np.array([sample.label for sample in support])
    images, test = (read_images([s.path for s in samples], recipe.side) for samples in (support, shots.test))
    started = time.perf_counter()
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(logs["loss"]))
    losses = training.fit(recipe, images, labels, rng, callbacks=[progress], precision=settings["precision"])
    seconds = time.perf_counter() - started
    support_outputs, test_outputs = (siamese.embed_both(recipe.model, recipe.branch, some) for some in (images, test))
    measured, arrays = localise(recipe, shots.test, test)
    record = {
        "data": data.describe(dataset, settings),
        "weights_loaded": recipe.weights,
        "parameters": recipe.model.count_params(),
        "margin": float(recipe.loss.margin),
        "branch_margin": float(recipe.branch_loss.margin) if recipe.branch else None,
        "training_seconds": seconds,
        "losses": losses,
        "test": data.test_fields(shots.test, dataset),
        "attention": measured,
    }
    for name, joined in judgements(recipe.branch_weight).items():
        references, embeddings = joined(support_outputs), joined(test_outputs)
        record["test"][name] = {
            "nearest": nearest_class(embeddings, references, labels)[1].tolist(),
            "centroid": centroid(embeddings, references[labels == 0]).tolist(),
        }
    return record, arrays


def judgements(weight):
    """Embeddings to judge by: output-1, as the paper does, and both, its future work, weighted as in the loss."""
    by_name = {"output_1": lambda outputs: outputs[0]}
    if weight:
        by_name["both"] = lambda outputs: np.concatenate([outputs[0], np.sqrt(weight) * outputs[1]], axis=1)
    return by_name


def nearest_class(embeddings, references, labels):
    """Label of the nearest reference.

    Args:
        embeddings, references: ``(n, dim)`` and ``(r, dim)``; all training images are references.
        labels: ``(r,)``, 1 abnormal.

    Returns:
        ``(labels, margins)``: ``(n,)`` each; the margin is the distance to the nearest normal reference minus that to
        the nearest abnormal one, > 0 for abnormal.
    """
    distances = cdist(embeddings, references)
    return labels[distances.argmin(1)], distances[:, labels == 0].min(1) - distances[:, labels == 1].min(1)


def centroid(embeddings, normal):
    """Distance ``(n,)`` of embeddings ``(n, dim)`` to the mean of the normal training embeddings ``(r, dim)``."""
    return np.linalg.norm(embeddings - normal.mean(0), axis=-1)


def localise(recipe, samples, images):
    """How well attention finds the defects: ``(measured, arrays)``, None and empty without attention.

    Measured is an `experiments.statistics.localisation`; the arrays are the ``maps`` of the first image of each defect
    type, and their ``rows``.
    """
    if not attention.has_attention(recipe.model):
        return None, {}
    rows = np.flatnonzero([sample.label for sample in samples])
    maps = attention.attention_maps(recipe.model, images[rows])
    _, firsts = np.unique([samples[row].kind for row in rows], return_index=True)
    measured = localisation(maps, lambda attention_map, k: pixel_auroc(attention_map, samples[rows[k]].mask))
    return measured, {"rows": rows[firsts], "maps": maps[firsts]}


def estimate(settings):
    """Seconds of a run, from the time of a step of method III, which is the dearest, on small images."""
    size = settings["batch_size"] or takimoto.BATCH_SIZES[settings["batching"]]
    images = size if settings["batching"] == "images" else 2 * size  # 16 pairs are of nearly 32 images
    side = settings["side"] or backbones.spec_of(settings["backbone"]).side
    seconds = images * (side / TIMED_SIDE) ** 2 * image_seconds(settings["backbone"], settings["precision"])
    steps = pairs.steps(settings["normal"] + settings["abnormal"], settings["batching"], size)
    return seconds * steps * settings["epochs"]


@functools.cache
def image_seconds(backbone, precision, images=8):
    """Seconds that a training step takes for each of its images, by the last of three on noise of `TIMED_SIDE`."""
    sizes = {"side": TIMED_SIDE, "epochs": 3, "batch_size": 2 * images}
    position = next(k for k in range(1, 99) if _has_layer(backbone, k))
    recipe = takimoto.build(backbone, "none", position, 1.0, margin=1.0, branch_margin=1.0, **sizes)
    rng, times = np.random.default_rng(0), []
    noise = rng.integers(0, 256, (images, recipe.side, recipe.side, 3), np.uint8)
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()))
    training.fit(recipe, noise, np.arange(images) % 2, rng, callbacks=[clock], precision=precision)
    return (times[-1] - times[-2]) / images


def _has_layer(backbone, position):
    try:
        return bool(backbones.attention_layer(backbone, position))
    except ValueError:
        return False
