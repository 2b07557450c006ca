"""References -> score. References are embedded once, then compared with every picture.

An embedding is what the neck puts out: a vector ``(dim,)``, or a map of patches ``(h, w, channels)``
when the distance is `fsad.layers.NearestPatch`.
"""

import numpy as np
import tensorflow as tf
from scipy.spatial.distance import cdist

from fsad import siamese
from fsad.layers import EuclideanDistance
from fsad.siamese import REDUCTIONS

embed = siamese.embed


def references(recipe, pictures, embeddings=None):
    """Embeddings of pictures as references, ``(r v, ...)``: each as the recipe's v ``views`` show it, in turn.

    Of maps of patches that overlap (`fsad.layers.NearestPatch` with a window) every second one a side is kept: the
    others repeat it.

    Args:
        recipe: a `fsad.recipes.Recipe`.
        pictures: uint8 RGB ``(r, side, side, 3)``.
        embeddings: theirs from `embed`, if they are known: the first view is not computed again.
    """
    found = [embed(recipe.model, pictures) if embeddings is None else embeddings]
    found += [embed(recipe.model, view(pictures)) for view in recipe.views[1:]]
    found = np.stack(found, 1).reshape(-1, *found[0].shape[1:])
    layer = siamese.nearest_patch(recipe.model)
    return found if layer is None else np.ascontiguousarray(found[:, :: layer.window, :: layer.window])


def compare(model, embeddings, references, block=4096):
    """Dissimilarity of each picture to each reference: ``(n, r)`` in [0, 1].

    Args:
        model: a two-picture model.
        embeddings: ``(n, ...)`` from `embed`.
        references: ``(r, ...)`` from `embed`.
        block: pairs compared at a time, which bounds the memory beside the result.
    """
    out = np.empty((len(embeddings), len(references)), np.float32)
    for down, across, found in _blocks(model, embeddings, references, block):
        out[down, across] = found
    return out


def score(model, embeddings, references, reduction="mean", block=4096):
    """As `reduce` of `compare`, ``(n,)``, in memory that does not grow with ``n r``.

    Where the score is the nearest reference by Euclidean distance, that one is found by matrix products
    (scikit-learn's) and the model compares the picture with it alone.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"Expected a reduction among {REDUCTIONS}. Received: {reduction!r}")
    if reduction == "first":
        references = references[:1]
    distance = siamese.parts(model).distance
    # With nothing but a sigmoid unit after it, which rises, the nearest is the least dissimilar.
    if reduction == "min" and any(isinstance(layer, EuclideanDistance) for layer in distance.layers):
        from sklearn.metrics import pairwise_distances_argmin  # a second to import, which few callers need

        nearest = pairwise_distances_argmin(embeddings, references)
        return np.concatenate([
            np.asarray(distance([references[nearest[k : k + block]], embeddings[k : k + block]], training=False))[:, 0]
            for k in range(0, len(embeddings), block)
        ])  # fmt: skip
    out = np.full(len(embeddings), np.inf if reduction == "min" else 0.0)
    for down, _, found in _blocks(model, embeddings, references, block):
        out[down] = np.minimum(out[down], found.min(1)) if reduction == "min" else out[down] + found.sum(1)
    return (out if reduction == "min" else out / len(references)).astype(np.float32)


def _blocks(model, embeddings, references, block):
    """Yields ``(rows of embeddings, rows of references, their dissimilarities)`` of at most ``block`` pairs each."""
    if embeddings.ndim > 2:  # a pair of maps holds as many numbers as their patches have pairs
        block = max(1, 16 * block // int(np.prod(embeddings.shape[1:3])))
    across = max(1, min(len(references), block))
    down = max(1, block // across)

    def against(some, others):
        return siamese.against(model, some, others)["dissimilarity"]

    if embeddings.ndim == 2 and len(embeddings) * len(references) > block:
        # In one pass over the numbers, without the block of differences: 6 times faster; compiling takes a second.
        against = tf.function(against, jit_compile=True)
    for left in range(0, len(references), across):
        others = slice(left, left + across)
        held = tf.convert_to_tensor(references[others])
        for top in range(0, len(embeddings), down):
            rows = slice(top, top + down)
            yield rows, others, against(tf.convert_to_tensor(embeddings[rows]), held).numpy()


def reduce(dissimilarities, how="mean"):
    """One score a picture from its dissimilarities ``(n, r)`` to the references: ``(n,)``.

    ``"mean"`` over the references, the ``"min"`` (nearest reference), or that of the ``"first"``.
    """
    if how not in REDUCTIONS:
        raise ValueError(f"Expected a reduction among {REDUCTIONS}. Received: {how!r}")
    if how == "first":
        return dissimilarities[:, 0]
    return dissimilarities.mean(1) if how == "mean" else dissimilarities.min(1)


def nearest_class(embeddings, references, labels):
    """Label of the nearest reference, which is how Takimoto et al. (2022) judge normal or abnormal.

    Args:
        embeddings, references: ``(n, dim)`` and ``(r, dim)``; all training pictures are references.
        labels: ``(r,)``, 1 abnormal.

    Returns:
        ``(labels, margins)``: ``(n,)`` each; the margin is the distance to the nearest normal reference minus
        that to the nearest abnormal one, > 0 for abnormal.
    """
    apart, labels = cdist(embeddings, references), np.asarray(labels)
    margins = apart[:, labels == 0].min(1) - apart[:, labels == 1].min(1)
    return labels[apart.argmin(1)], margins


def centroid(embeddings, normal):
    """Distance ``(n,)`` to the mean of the normal training embeddings ``(r, dim)`` (Takimoto et al. 2022)."""
    return np.linalg.norm(np.asarray(embeddings) - np.mean(normal, axis=0), axis=-1)


def leave_out(model, embeddings, groups, references, reference_groups, reduction="mean"):
    """Scores against the references of other groups only: what pictures score that are not known yet.

    Args:
        model: a two-picture model that was not trained on these pictures.
        embeddings, references: ``(n, ...)`` and ``(r, ...)`` from `embed`.
        groups, reference_groups: ``(n,)`` and ``(r,)``; pictures of one group show one part, and one
            would vouch for the other.

    Returns:
        ``(scores, maps)``: float32 ``(n,)``, NaN where no reference is left; and ``(n, h, w)``, or None
        for vectors.
    """
    scores, maps = np.full(len(embeddings), np.nan, np.float32), None
    reference_groups = np.asarray(reference_groups)
    for k, group in enumerate(groups):
        others = references[reference_groups != group]
        if not len(others):
            continue
        found = siamese.against(model, tf.constant(embeddings[k : k + 1]), tf.constant(others), reduction)
        scores[k] = found["score"][0]
        if "map" in found:
            maps = np.full((len(embeddings), *found["map"].shape[1:]), np.nan, np.float32) if maps is None else maps
            maps[k] = found["map"][0]
    return scores, maps
