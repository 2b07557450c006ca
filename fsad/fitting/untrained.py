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
    embeddings = _embed(recipe.model, data.images, progress)
    references = scoring.embed_references(recipe, data.images[chosen], embeddings[chosen])
    warnings += _changed(recipe, embeddings[chosen], references, data.groups[chosen])
    layer, _ = siamese.distance_layer(recipe.model)
    places = np.tile(layer.centres(references.shape[1:3]), (len(references), 1, 1))
    reference_groups = np.repeat(data.groups[chosen], len(recipe.views))
    few, rows = scoring.thinned(references, recipe.max_patches)
    if rows is None:
        maps = scoring.leave_out(recipe.model, embeddings, data.groups, references, reference_groups)
    else:
        maps = _leave_out(recipe, embeddings, data.groups, references, reference_groups, progress)
        references, places = few, np.take_along_axis(places, rows[:, :, None], axis=1)
    known = np.isfinite(maps).all((1, 2, 3))
    good, defective = known & data.good, known & ~data.good
    scores = np.full(len(maps), np.nan, np.float32)
    scores[good], scores[defective] = recipe.fuse(maps[good], maps[defective], data.groups[good])
    return Outcome(references, chosen, scores, np.asarray(layer.anomaly_map(maps)), places)


def _leave_out(recipe, embeddings, groups, references, reference_groups, progress):
    """`fsad.scoring.leave_out` where references are thinned, by folds of groups: without a fold the others are thinned
    anew. Had all been thinned together, what a reference covers for the others would be missing where it is left out.
    """
    owners, maps = np.unique(reference_groups), None
    folds = [owners[k::FOLDS] for k in range(min(FOLDS, len(owners)))]
    every = [*folds, np.setdiff1d(groups, owners)]
    for fold in tqdm(every, desc="holding out", unit="fold", disable=not progress, leave=False):
        own, others = np.isin(groups, fold), references[~np.isin(reference_groups, fold)]
        if not own.any():
            continue
        few = scoring.thinned(others, recipe.max_patches)[0] if len(others) else others
        some = scoring.leave_out(recipe.model, embeddings[own], np.zeros(own.sum()), few, np.ones(len(few)))
        maps = np.empty((len(embeddings), *some.shape[1:]), np.float32) if maps is None else maps
        maps[own] = some
    return maps


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


def _embed(model, images, progress):
    step = batch_for(images.shape[1:3], scoring.BATCH)
    embeddings = np.empty((len(images), *siamese.parts(model).neck.output_shape[1:]), np.float32)
    with tqdm(total=len(images), desc="embedding", unit="image", disable=not progress, leave=False) as bar:
        for start in range(0, len(images), step):
            batch = images[start : start + step]
            embeddings[start : start + step] = siamese.embed(model, batch)
            bar.update(len(batch))
    return embeddings
