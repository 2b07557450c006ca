"""A recipe whose network is trained: on all images, and before that several times without some, for held-out scores."""

import keras
import numpy as np
from tqdm import tqdm

from fsad import recipes, scoring, siamese, training
from fsad.fitted import Outcome


def train(recipe, settings, options, data, rng, progress):
    """The `fsad.fitted.Outcome` of a recipe that is trained, in place."""
    precision = options.precision or training.fast_precision()
    scores = _cross_fit(recipe.name, settings, options, precision, data, rng, progress)
    keras.utils.set_random_seed(options.seed)
    every = np.arange(len(data.images))
    chosen = _train(recipe, precision, data, every, rng, "training", progress)
    references = scoring.embed_references(recipe, data.images[chosen])
    return Outcome(references, chosen, scores if np.isfinite(scores[data.good]).any() else None)


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
