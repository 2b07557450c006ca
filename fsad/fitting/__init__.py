"""A user's few images -> what a detector knows: a model, references and a threshold.

`fit` is five steps: select, read, group, embed or train, calibrate.
"""

import dataclasses
import inspect
import logging
from pathlib import Path

import keras
import numpy as np

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
)
from fsad.explain import methods
from fsad.fitted import Fitted, Network, check_number, display_range
from fsad.fitting.trained import train
from fsad.fitting.untrained import embed
from fsad.support import Support
from fsad.weights import WeightsError

log = logging.getLogger(__name__)
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
        outcome = train(recipe, settings, options, data, rng, progress)
    else:
        outcome = embed(recipe, options, data, rng, warnings, progress)
    return calibrate(recipe, settings, options, data, outcome, warnings)


def build(name, settings, good, warnings):
    """``(recipe, settings)``; if ImageNet weights are unavailable, with those of the fallback, and a warning; but a
    backbone or layers that were asked for are not replaced by others. A recipe that takes any ``(height, width)`` keeps
    the aspect of the good images, where they have one (`fsad.input_size`)."""
    make = recipes.RECIPES[name]
    fallbacks = FALLBACKS.get(name, [{"weights": "none"}])
    if name in FALLBACKS and {"backbone", "layers"} & settings.keys():
        fallbacks = []
    known = inspect.signature(make).parameters
    backbone = settings.get("backbone", known["backbone"].default if "backbone" in known else None)
    if name in KEEP_ASPECT and not isinstance(backbone, keras.Model) and not backbones.spec_of(backbone).square:
        default = recipes.patches.default_side(backbone)
        settings = {**settings, **input_size.choose(good, default, settings, warnings)}
    if isinstance(settings.get("roi"), (str, Path)):
        size = next(filter(None, (sample.size() for sample in good)), None)
        settings = {**settings, "roi": roi.encode(roi.read(settings["roi"], size))}
    if isinstance(backbone, str):
        settings = {"backbone": backbone, **settings}  # the default one, too: a detector says what it has
    if unknown := settings.keys() - known.keys():
        raise ValueError(
            f"Expected settings of the recipe {name} among {', '.join(known)}. Received: {', '.join(sorted(unknown))}"
        )
    for setting, value in settings.items():
        if type(known[setting].default) in (int, float) and setting != "side":  # which may be a pair
            check_number(setting, value)
    recipe, settings, used = _made(make, settings, [{}, *fallbacks])
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


def _stored(data, chosen):
    """Rows of the images that the detector keeps: all, or else the references and as many others as there is room for,
    defective ones first."""
    room = max(len(chosen), MAX_STORED // data.images[0].nbytes)
    rank = np.where(np.isin(np.arange(len(data.images)), chosen), 0, np.where(data.good, 2, 1))
    return np.sort(np.argsort(rank, kind="stable")[:room])


def calibrate(recipe, settings, options, data, outcome, warnings):
    """The threshold, from held-out scores, and the range of maps on display: everything is known then."""
    chosen, scores, maps = outcome.chosen, outcome.scores, outcome.maps
    if scores is None:
        embeddings = siamese.embed(recipe.model, data.images)
        scores = scoring.score(recipe.model, embeddings, outcome.references, recipe.reduction)
    known = np.isfinite(scores)
    threshold = thresholds.choose(
        scores[known & data.good],
        scores[known & ~data.good],
        options.false_alarm_rate,
        options.miss_rate,
        outcome.scores is not None,
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
        references=outcome.references,
        places=outcome.places,
        threshold=threshold,
        map_range=map_range,
        map_limit=map_limit,
        training=tuple(data.records),
        images=data.images if len(stored) == len(data.images) else data.images[stored],  # no copy of what may be large
        signatures=data.signatures,
        warnings=tuple(warnings),
        settings=settings,
    )
