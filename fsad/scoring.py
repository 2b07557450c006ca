"""References -> score. References are embedded once, then compared with every picture.

An embedding is what the neck puts out: a vector ``(dim,)``, or a map of patches ``(h, w, channels)``
when the distance is `fsad.layers.NearestPatch`.
"""

import numpy as np
import tensorflow as tf
from scipy.spatial.distance import cdist

from fsad import siamese
from fsad.siamese import REDUCTIONS

embed = siamese.embed


def compare(model, embeddings, references, block=4096):
    """Dissimilarity of each picture to each reference: ``(n, r)`` in [0, 1].

    Args:
        model: a two-picture model.
        embeddings: ``(n, ...)`` from `embed`.
        references: ``(r, ...)`` from `embed`.
        block: pairs compared at a time, which bounds the memory.
    """
    out = np.empty((len(embeddings), len(references)), np.float32)
    across = max(1, min(len(references), block))
    down = max(1, block // across)
    for left in range(0, len(references), across):
        some = tf.convert_to_tensor(references[left : left + across])
        for top in range(0, len(embeddings), down):
            found = siamese.against(model, tf.convert_to_tensor(embeddings[top : top + down]), some)
            out[top : top + down, left : left + across] = found["dissimilarity"].numpy()
    return out


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
