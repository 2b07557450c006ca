"""A user's few images -> what a detector knows: a model, references and a threshold.

`fit` is five steps: select, read, group, embed or train, calibrate.
"""

import dataclasses
import inspect
import logging
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from fsad import (
    alignment,
    backbones,
    input_size,
    recipes,
    regions,
    roi,
    scoring,
    siamese,
    support,
    thresholds,
    training,
    trend,
)
from fsad.explain import methods
from fsad.fitted import Fitted, Network, display_range
from fsad.images import batch_for
from fsad.support import Support
from fsad.weights import WeightsError

log = logging.getLogger(__name__)

CHANGED = 0.01  # p-value up to which the first and the last images are said to differ
MAX_STORED = 2**28  # bytes of training images that a detector keeps
# What is built if ImageNet weights are unavailable, in turn. Untrained random features are uninformative.
FALLBACKS = {"patches": [{"backbone": name, "layers": None} for name in ("efficientnet_lite0", "filter_bank")]}
KEEP_ASPECT = ("patches",)  # recipes whose input need not be square
NO_WEIGHTS = {
    "patches": "ImageNet weights are unavailable, so {} is used instead: expect lower accuracy. fsad weights says "
    "which file goes where, and fetches it.",
    "trained": "ImageNet weights are unavailable: training starts from random initialization. fsad weights says which "
    "file goes where, and fetches it.",
}


def fit(name, settings, options, good, defect=None, progress=True):
    """Fits a recipe.

    Args:
        name, settings: of a recipe in `fsad.recipes.RECIPES`.
        options: `fsad.fitted.Options`.
        good, defect: as `fsad.inputs.find` takes them.
        progress: show progress bars on standard error.

    Returns:
        A `fsad.fitted.Fitted`.

    Raises:
        FileNotFoundError, ValueError: no images, too few, or labelled otherwise by their folder.
    """
    rng, warnings = np.random.default_rng(options.seed), []
    keras.utils.set_random_seed(options.seed)
    samples = support.select(good, defect, options, rng, warnings)
    recipe, settings = build(name, settings, samples["good"], warnings)
    records, images, signatures = support.read(samples, recipe.size, warnings, progress)
    is_good = np.array([record["role"] == "good" for record in records])
    reference = None
    if options.align:
        images, reference, missed = alignment.fit(images, is_good, first="roi" in settings)
        if missed:
            warnings.append(f"{missed} of the {(~is_good).sum()} defective images could not be aligned.")
    groups = support.group(recipe, options, records, images, signatures, is_good, warnings)
    data = Support(records, images, signatures, is_good, groups)
    fitted = fit_to(recipe, settings, options, data, rng, warnings, progress)
    return dataclasses.replace(fitted, reference=reference)


def fit_to(recipe, settings, options, data, rng, warnings, progress=True):
    """Fits a recipe to images that are read and grouped; a `fsad.fitted.Fitted`."""
    if recipe.trained:
        references, chosen, held_out = train(recipe, settings, options, data, rng, progress)
    else:
        references, chosen, held_out = embed(recipe, options, data, rng, warnings, progress)
    return calibrate(recipe, settings, options, data, references, chosen, held_out, warnings)


def build(name, settings, good, warnings):
    """``(recipe, settings)``; if ImageNet weights are unavailable, with those of the fallback, and a warning. A recipe
    that takes any ``(height, width)`` keeps the aspect of the good images, where they have one (`fsad.input_size`)."""
    make = recipes.RECIPES[name]
    known = inspect.signature(make).parameters
    backbone = settings.get("backbone", known["backbone"].default if "backbone" in known else None)
    if name in KEEP_ASPECT and not isinstance(backbone, keras.Model) and not backbones.spec_of(backbone).square:
        default = recipes.patches.default_side(backbone)
        settings = {**settings, **input_size.choose(good, default, settings, warnings)}
    if isinstance(settings.get("roi"), (str, Path)):
        size = next(filter(None, (sample.size() for sample in good)), None)
        settings = {**settings, "roi": roi.encode(roi.read(settings["roi"], size))}
    if unknown := settings.keys() - known.keys():
        raise ValueError(
            f"Expected settings of the recipe {name} among {', '.join(known)}. Received: {', '.join(sorted(unknown))}"
        )
    recipe, settings, used = _made(make, settings, [{}, *FALLBACKS.get(name, [{"weights": "none"}])])
    if used:
        title = backbones.spec_of(settings["backbone"]).title
        warnings.append(NO_WEIGHTS["patches" if name in FALLBACKS else "trained"].format(title))
    if recipe.weights == "random" and not recipe.trained:
        warnings.append("Untrained random features are uninformative.")
    return recipe, settings


def _made(make, settings, fallbacks):
    """``(recipe, settings, which)``: by the first of the fallbacks whose weights are available."""
    for which, fallback in enumerate(fallbacks):
        chosen = {**settings, **fallback}
        try:
            return make(**chosen), chosen, which
        except WeightsError:
            if fallback is fallbacks[-1]:
                raise


def embed(recipe, options, data, rng, warnings, progress):
    """References of a recipe that is not trained, their rows, and held-out ``(scores, maps)``."""
    chosen = _references(data, options.max_references, rng)
    recipe.adapt(recipe.model, data.images[chosen])
    embeddings = _embed(recipe.model, data.images, progress)
    references = scoring.embed_references(recipe, data.images[chosen], embeddings[chosen])
    warnings += _changed(recipe, embeddings[chosen], references, data.groups[chosen])
    reference_groups = np.repeat(data.groups[chosen], len(recipe.views))
    maps = scoring.leave_out(recipe.model, embeddings, data.groups, references, reference_groups)
    known = np.isfinite(maps).all((1, 2, 3))
    good, defective = known & data.good, known & ~data.good
    scores = np.full(len(maps), np.nan, np.float32)
    scores[good], scores[defective] = recipe.fuse(maps[good], maps[defective], data.groups[good])
    layer, _ = siamese.distance_layer(recipe.model)
    return references, chosen, (scores, np.asarray(layer.anomaly_map(maps)))


def _references(data, most, rng):
    """Rows of the good images that become references: what was learned first, its near-duplicates last."""
    order = rng.permutation(np.flatnonzero(data.good))
    learned = np.array(["learned" in record for record in data.records])
    repeated = np.isin(data.groups, data.groups[learned & data.good])
    rank = np.where(learned, 0, np.where(repeated, 2, 1))[order]
    return np.sort(order[np.argsort(rank, kind="stable")][:most])


def _stored(data, chosen):
    """Rows of the images that the detector keeps: all, or else the references and as many others as there is room for,
    defective ones first."""
    room = max(len(chosen), MAX_STORED // data.images[0].nbytes)
    rank = np.where(np.isin(np.arange(len(data.images)), chosen), 0, np.where(data.good, 2, 1))
    return np.sort(np.argsort(rank, kind="stable")[:room])


def _changed(recipe, embeddings, references, groups):
    """A warning where the first and the last of the good images, in the order given, differ (`fsad.trend`)."""
    first = np.sort(np.unique(groups, return_index=True)[1])  # one image of each part
    distances = scoring.dissimilarities(recipe.model, embeddings[first], references)
    distances = distances.reshape(len(first), -1, len(recipe.views)).min(2)[:, first]
    p = trend.p_value(distances, np.random.default_rng(0))
    if p > CHANGED:
        return []
    return [
        f"The first and the last of the good images, in the order given, differ (p = {p:.3f}): light or camera may "
        "have changed while they were taken. Give good images of every state, or expect those of one state to alarm."
    ]


def train(recipe, settings, options, data, rng, progress):
    """The same of a recipe that is trained, in place; the scores are None where no image could be held out."""
    precision = options.precision or training.fast_precision()
    scores = _cross_fit(recipe.name, settings, options, precision, data, rng, progress)
    keras.utils.set_random_seed(options.seed)
    every = np.arange(len(data.images))
    chosen = _train(recipe, precision, data, every, rng, "training", progress)
    references = scoring.embed_references(recipe, data.images[chosen])
    return references, chosen, (scores, None) if np.isfinite(scores[data.good]).any() else None


def calibrate(recipe, settings, options, data, references, chosen, held_out, warnings):
    """The threshold, from held-out scores, and the range of maps on display: everything is known then."""
    if held_out is None:
        embeddings = siamese.embed(recipe.model, data.images)
        scores, maps = scoring.score(recipe.model, embeddings, references, recipe.reduction), None
    else:
        scores, maps = held_out
    known = np.isfinite(scores)
    threshold = thresholds.choose(
        scores[known & data.good],
        scores[known & ~data.good],
        options.false_alarm_rate,
        options.miss_rate,
        held_out is not None,
    )
    if missing := int((~known & ~data.good).sum()):
        warnings.append(f"{missing} defective images have no held-out score: too few parts to train without them.")
    warnings += threshold.warnings
    map_range = map_limit = None
    if maps is not None:
        # 0 is what half of a good image's patches stay under.
        map_range = display_range(float(np.median(maps[known & data.good])), threshold.value)
        map_limit = regions.limit(maps[known & data.good])
    for k, record in enumerate(data.records):
        record["score"], record["group"] = float(scores[k]) if known[k] else None, int(data.groups[k])
        record["reference"] = int(np.flatnonzero(chosen == k)[0]) if k in chosen else None
    stored = _stored(data, chosen)
    for k, record in enumerate(data.records):
        record["image"] = int(np.flatnonzero(stored == k)[0]) if k in stored else None
    for text in warnings:
        log.warning(text)
    return Fitted(
        network=Network(lambda: recipe.model),
        methods=methods.available(recipe.model),
        reduction=recipe.reduction,
        weights=recipe.weights,
        references=references,
        threshold=threshold,
        map_range=map_range,
        map_limit=map_limit,
        training=tuple(data.records),
        images=data.images[stored],
        signatures=data.signatures,
        warnings=tuple(warnings),
        settings=settings,
    )


def _embed(model, images, progress):
    step = batch_for(images.shape[1:3], 8)
    batches = [images[start : start + step] for start in range(0, len(images), step)]
    with tqdm(total=len(images), desc="embedding", unit="image", disable=not progress, leave=False) as bar:
        embeddings = []
        for batch in batches:
            embeddings.append(siamese.embed(model, batch))
            bar.update(len(batch))
    return np.concatenate(embeddings)


def _train(recipe, precision, data, rows, rng, title, progress):
    """Trains in place on some rows, in random order; returns the rows that are the references from then on."""
    good, defective = (rng.permutation(rows[data.good[rows] == value]) for value in (True, False))
    rows = np.concatenate([good, defective])
    labels = (~data.good[rows]).astype(int)
    with tqdm(total=recipe.epochs, desc=title, unit="epoch", disable=not progress, leave=False) as bar:
        step = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: (bar.set_postfix(loss=f"{logs['loss']:.3f}"), bar.update(1))
        )
        training.fit(recipe, data.images[rows], labels, rng, data.groups[rows], callbacks=[step], precision=precision)
    return np.sort(rows[recipe.references(labels)])


def _cross_fit(name, settings, options, precision, data, rng, progress):
    """Held-out scores ``(n,)`` by training ``folds`` times without a part of the images; NaN where a fold leaves
    nothing to train on."""
    scores = np.full(len(data.images), np.nan, np.float32)
    fold = np.empty(len(data.images), int)
    for rows in (np.flatnonzero(data.good), np.flatnonzero(~data.good)):
        order = rng.permutation(np.unique(data.groups[rows]))
        numbers = {number: k % max(options.folds, 1) for k, number in enumerate(order)}
        fold[rows] = [numbers[number] for number in data.groups[rows]]
    for k in range(options.folds):
        rest = (fold != k) & ~np.isin(data.groups, data.groups[fold == k])
        if rest[data.good].sum() < 2 or not rest[~data.good].any() or not (fold == k).any():
            continue
        keras.utils.set_random_seed(options.seed)
        recipe = recipes.RECIPES[name](**settings)
        title = f"held-out training {k + 1} of {options.folds}"
        anchors = _train(recipe, precision, data, np.flatnonzero(rest), rng, title, progress)
        tested = np.flatnonzero(fold == k)
        references = scoring.embed_references(recipe, data.images[anchors])
        embeddings = siamese.embed(recipe.model, data.images[tested])
        scores[tested] = scoring.score(recipe.model, embeddings, references, recipe.reduction)
    return scores
