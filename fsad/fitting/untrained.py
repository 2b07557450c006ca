"""A recipe that is not trained: its references, and held-out scores."""

import numpy as np
from tqdm import tqdm

from fsad import scoring, siamese, trend
from fsad.fitted import Outcome
from fsad.images import batch_for

FOLDS = 8  # in which images are held out where references are thinned
CHANGED = 0.01  # p-value up to which the first and the last images are said to differ


def embed(recipe, options, data, rng, warnings, progress):
    """The `fsad.fitted.Outcome` of a recipe that is not trained."""
    chosen = _references(data, options.max_references, rng)
    recipe.adapt(recipe.model, data.images[chosen])
    embeddings = siamese.embed(recipe.model, data.images[chosen], scoring.BATCH)
    references = scoring.embed_references(recipe, data.images[chosen], embeddings)
    warnings += _changed(recipe, embeddings, references, data.groups[chosen])
    layer, _ = siamese.distance_layer(recipe.model)
    places = np.tile(layer.centres(references.shape[1:3]), (len(references), 1, 1))
    reference_groups = np.repeat(data.groups[chosen], len(recipe.views))
    few, rows = scoring.thinned(references, recipe.max_patches)
    maps = np.full((len(data.images), *layer.usual_map.shape), np.nan, np.float32)
    step = batch_for(data.images.shape[1:3], scoring.BATCH)
    with tqdm(total=len(maps), desc="holding out", unit="image", disable=not progress, leave=False) as bar:
        for own, others, groups in _comparisons(recipe, data.groups, references, reference_groups, rows is not None):
            for start in range(0, len(own), step):
                batch = own[start : start + step]
                some = _embedded(recipe.model, data.images, batch, chosen, embeddings)
                maps[batch] = scoring.leave_out(recipe.model, some, data.groups[batch], others, groups)
                bar.update(len(batch))
    if rows is not None:
        references, places = few, np.take_along_axis(places, rows[:, :, None], axis=1)
    known = np.isfinite(maps).all((1, 2, 3))
    good, defective = known & data.good, known & ~data.good
    scores = np.full(len(maps), np.nan, np.float32)
    scores[good], scores[defective] = recipe.fuse(maps[good], maps[defective], data.groups[good])
    return Outcome(references, chosen, scores, np.asarray(layer.anomaly_map(maps)), places)


def _embedded(model, images, rows, chosen, embeddings):
    """Embeddings of some rows of the images, as they are needed: all of them would fill the memory. Those of the
    ``chosen`` rows are there."""
    there = np.isin(rows, chosen)
    out = np.empty((len(rows), *embeddings.shape[1:]), np.float32)
    out[there] = embeddings[np.searchsorted(chosen, rows[there])]
    out[~there] = siamese.embed(model, images[rows[~there]])
    return out


def _comparisons(recipe, groups, references, reference_groups, thinning):
    """Yields rows of images, the references to compare them with, and the groups of those.

    Where references are thinned, images are held out by folds of groups, and without a fold the others are thinned
    anew. Had all been thinned together, what a reference covers for the others would be missing where it is left out.
    """
    if not thinning:
        yield np.arange(len(groups)), references, reference_groups
        return
    owners = np.unique(reference_groups)
    for fold in [*(owners[k::FOLDS] for k in range(FOLDS)), np.setdiff1d(groups, owners)]:
        own, others = np.flatnonzero(np.isin(groups, fold)), references[~np.isin(reference_groups, fold)]
        if len(own):
            few = scoring.thinned(others, recipe.max_patches)[0] if len(others) else others
            yield own, few, np.full(len(few), -1)  # of no image's group


def _references(data, most, rng):
    """Rows of the good images that become references: what was learned first, its near-duplicates last."""
    order = rng.permutation(np.flatnonzero(data.good))
    learned = np.array(["learned" in record for record in data.records])
    repeated = np.isin(data.groups, data.groups[learned & data.good])
    rank = np.where(learned, 0, np.where(repeated, 2, 1))[order]
    return np.sort(order[np.argsort(rank, kind="stable")][:most])


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
