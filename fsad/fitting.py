"""A user's few pictures -> what a detector knows: a model, references and a threshold."""

import dataclasses
import logging

import cv2
import keras
import numpy as np
from tqdm import tqdm

from fsad import duplicates, images, pictures, recipes, scoring, storage, thresholds, training

log = logging.getLogger(__name__)

MOST = 400  # pictures of a role that are read; more of them would fill the memory and move the threshold little
THUMBNAIL = 160  # pixels a side of the references kept for reports


@dataclasses.dataclass(frozen=True)
class Options:
    """How to fit, beside the recipe's own settings; see `fsad.detector.Detector`."""

    false_alarm_rate: float | None = None
    miss_rate: float | None = None
    max_references: int = 32
    folds: int = 4
    seed: int = 0
    precision: str | None = None


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What a detector knows once it is fitted.

    ``references``: embeddings ``(r v, ...)`` of r pictures in v views each (`fsad.scoring.references`);
    ``training``: a dict for each training picture with ``name``,
    ``role`` (``"good"``, ``"defective"``), ``sha256``, ``reference`` (its number or None) and ``score``
    (held out, or None); ``thumbnails``: uint8 ``(r, 160, 160, 3)``; ``signatures``: ``(t, 64, 64)`` of the
    training pictures, by which other photographs of the same parts are known; ``map_range``: patch
    distances shown as 0 and 1, or None; ``warnings``: what a user should know.
    """

    model: keras.Model
    reduction: str
    weights: str
    references: np.ndarray
    threshold: thresholds.Threshold
    map_range: tuple | None
    training: tuple
    thumbnails: np.ndarray
    signatures: np.ndarray
    warnings: tuple


def fit(name, settings, options, good, defect=None, progress=True):
    """Fits a recipe.

    Args:
        name, settings: of a recipe in `fsad.recipes.RECIPES`.
        options: `Options`.
        good, defect: as `fsad.pictures.find` takes them.
        progress: show progress bars on standard error.

    Returns:
        A `Fitted`.

    Raises:
        FileNotFoundError, ValueError: no pictures, too few, or labelled otherwise by their folder.
    """
    rng = np.random.default_rng(options.seed)
    keras.utils.set_random_seed(options.seed)
    listed = {"good": _listed(good, "good"), "defective": _listed(defect, "defective") if defect is not None else []}
    try:
        recipe = recipes.RECIPES[name](**settings)
    except TypeError as error:
        raise ValueError(f"Expected settings of the recipe {name}. Received: {error}") from None
    warnings = []
    if recipe.weights == "fixed" and settings.get("backbone") != "filter_bank":
        warnings.append(_NO_WEIGHTS)
    if recipe.weights == "random" and not recipe.trained:
        warnings.append("Random weights tell nothing about a part unless they are trained.")
    if options.miss_rate is not None and not listed["defective"]:
        raise ValueError("Expected defective pictures to aim at a miss rate. Received: none")
    for role, found in listed.items():
        if len(found) > MOST:
            listed[role] = [found[k] for k in np.sort(rng.permutation(len(found))[:MOST])]
            warnings.append(f"Of {len(found)} {role} pictures {MOST} were drawn.")
    records, arrays, signatures = _read(listed, recipe.side, warnings, progress)
    groups = duplicates.groups(signatures)
    roles = np.array([record["role"] for record in records])
    if len(set(groups[roles == "good"])) < 2:
        groups = np.unique(arrays.reshape(len(arrays), -1), axis=0, return_inverse=True)[1].reshape(-1)
        if len(set(groups[roles == "good"])) > 1:
            warnings.append("All good pictures look like photographs of one part; each is taken for a part of its own.")
    _check(name, recipe, roles, groups, records, warnings)
    is_good = roles == "good"

    if not recipe.trained:
        embeddings = _embed(recipe.model, arrays, progress)
        chosen = np.sort(rng.permutation(np.flatnonzero(is_good))[: options.max_references])
        references = scoring.references(recipe, arrays[chosen], embeddings[chosen])
        held = scoring.leave_out(
            recipe.model, embeddings, groups, references, np.repeat(groups[chosen], len(recipe.views))
        )
        held_out = True
    else:
        precision = options.precision or training.fast_precision()
        held, held_out = _cross_fit(name, settings, options, precision, arrays, is_good, groups, rng, progress)
        keras.utils.set_random_seed(options.seed)
        chosen = _train(recipe, precision, arrays, is_good, rng, "training", progress)
        embeddings = _embed(recipe.model, arrays, progress=False)
        references = embeddings[chosen]
        if not held_out:
            held = scoring.score(recipe.model, embeddings, references, recipe.reduction), None
    scores, maps = held
    known = np.isfinite(scores)
    threshold = thresholds.choose(
        scores[known & is_good], scores[known & ~is_good], options.false_alarm_rate, options.miss_rate, held_out
    )
    if lost := int((~known & ~is_good).sum()):
        warnings.append(f"{lost} defective pictures have no held-out score: too few parts to train without them.")
    warnings += threshold.warnings
    map_range = None
    if maps is not None:
        # 0 is what half of a good picture's patches stay under, and the threshold is the middle.
        low = float(np.median(maps[known & is_good]))
        map_range = (low, max(2 * threshold.value - low, low + 1e-6))
    for k, record in enumerate(records):
        record["score"] = float(scores[k]) if known[k] else None
        record["reference"] = int(np.flatnonzero(chosen == k)[0]) if k in chosen else None
    thumbnails = np.stack([cv2.resize(arrays[k], (THUMBNAIL,) * 2, interpolation=cv2.INTER_AREA) for k in chosen])
    for text in warnings:
        log.warning(text)
    return Fitted(recipe.model, recipe.reduction, recipe.weights, references, threshold, map_range,
                  tuple(records), thumbnails, signatures, tuple(warnings))  # fmt: skip


_NO_WEIGHTS = (
    "No ImageNet weights were found; textures are compared by a bank of filters, which does less well. "
    "Put a weights file into FSAD_WEIGHTS_DIR, or connect to the network once."
)


def _listed(given, role):
    found = pictures.find(given)
    wrong = [p for p in found if p.label is not None and p.label != (role == "defective")]
    if wrong:
        raise ValueError(
            f"Expected {role} pictures only. Received: {wrong[0].name}, which its folder says is {wrong[0].kind}; "
            f"give the folder of the {role} ones"
        )
    return found


def _read(listed, side, warnings, progress):
    """Records, pictures ``(n, side, side, 3)`` and signatures of every file that can be read."""
    records, arrays, signatures, bad = [], [], [], []
    every = [(role, picture) for role, found in listed.items() for picture in found]
    for role, picture in tqdm(every, desc="reading", unit="picture", disable=not progress, leave=False):
        try:
            whole = picture.read()
        except images.ImageError as error:
            bad.append(f"{picture.name}: {error.reason}")
            continue
        digest = None if isinstance(picture.source, np.ndarray) else storage.sha256(picture.source)
        records.append({"name": picture.name, "role": role, "sha256": digest})
        arrays.append(images.resize(whole, side))
        signatures.append(duplicates.signature(whole))
    if bad:
        warnings.append(f"{len(bad)} files were left out. " + "; ".join(bad[:5]) + ("; ..." if len(bad) > 5 else ""))
    if not records:
        raise ValueError(f"Expected pictures that can be read. Received: none. {'; '.join(bad[:5])}")
    return records, np.stack(arrays), np.stack(signatures)


def _check(name, recipe, roles, groups, records, warnings):
    parts = {role: len(set(groups[roles == role])) for role in ("good", "defective")}
    if parts["good"] < 2:
        raise ValueError(
            f"Expected good pictures of at least 2 different parts: one is compared with the other to set the "
            f"threshold. Received: {(roles == 'good').sum()} pictures, all near-duplicates of {records[0]['name']}"
        )
    if recipe.trained and not parts["defective"]:
        raise ValueError(f"Expected defective pictures: the recipe {name} learns from them. Received: none")
    mixed = set(groups[roles == "good"]) & set(groups[roles == "defective"])
    for group in sorted(mixed)[:3]:
        names = [records[k]["name"] for k in np.flatnonzero(groups == group)]
        warnings.append(f"The same picture or part is given as good and as defective: {', '.join(names[:4])}")
    if len(mixed) > 3:
        warnings.append(f"... and {len(mixed) - 3} more; fsad check lists all.")


def _embed(model, arrays, progress):
    found = []
    with tqdm(total=len(arrays), desc="embedding", unit="picture", disable=not progress, leave=False) as bar:
        for start in range(0, len(arrays), 8):
            found.append(scoring.embed(model, arrays[start : start + 8]))
            bar.update(len(found[-1]))
    return np.concatenate(found)


def _train(recipe, precision, arrays, is_good, rng, title, progress):
    """Trains in place; returns the rows that are the references from then on.

    All good pictures, where all pairs are trained on. Else half of them, the anchors; the roles are made
    equal in number, as the paper has them, by going round in the smaller ones.
    """
    good, defective = rng.permutation(np.flatnonzero(is_good)), rng.permutation(np.flatnonzero(~is_good))
    anchors, others = good[: len(good) - len(good) // 2], good[len(good) - len(good) // 2 :]
    count = max(len(anchors), len(others), len(defective))
    roles = [arrays[np.resize(rows, count)] for rows in (anchors, others, defective)]
    with tqdm(total=recipe.epochs, desc=title, unit="epoch", disable=not progress, leave=False) as bar:
        step = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: (bar.set_postfix(loss=f"{logs['loss']:.3f}"), bar.update(1))
        )
        if recipe.loss is not None:
            labels = (~is_good).astype(int)
            training.fit_all_pairs(recipe, arrays, labels, rng, callbacks=[step], precision=precision)
            return np.flatnonzero(is_good)
        training.fit(recipe, *roles, rng, callbacks=[step], precision=precision)
    return np.sort(anchors)


def _cross_fit(name, settings, options, precision, arrays, is_good, groups, rng, progress):
    """Held-out scores by training ``folds`` times without a part of the pictures.

    Returns ``((scores, None), whether held out)``. Pictures whose fold leaves nothing to train on keep NaN.
    """
    scores = np.full(len(arrays), np.nan, np.float32)
    fold = np.empty(len(arrays), int)
    for rows in (np.flatnonzero(is_good), np.flatnonzero(~is_good)):
        numbers = {group: k % max(options.folds, 1) for k, group in enumerate(rng.permutation(np.unique(groups[rows])))}
        fold[rows] = [numbers[g] for g in groups[rows]]
    for k in range(options.folds):
        kept = (fold != k) & ~np.isin(groups, groups[fold == k])
        if kept[is_good].sum() < 2 or not kept[~is_good].any() or not (fold == k).any():
            continue
        keras.utils.set_random_seed(options.seed)
        recipe = recipes.RECIPES[name](**settings)
        title = f"held-out training {k + 1} of {options.folds}"
        anchors = np.flatnonzero(kept)[_train(recipe, precision, arrays[kept], is_good[kept], rng, title, progress)]
        tested = np.flatnonzero(fold == k)
        references = scoring.embed(recipe.model, arrays[anchors])
        scores[tested] = scoring.score(
            recipe.model, scoring.embed(recipe.model, arrays[tested]), references, recipe.reduction
        )
    held_out = bool(np.isfinite(scores[is_good]).any())
    return (scores, None), held_out
