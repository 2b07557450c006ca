"""References -> score -> verdict. References are embedded once, then compared with every picture."""

import numpy as np

from fsad import siamese

REDUCTIONS = ("mean", "min", "first")


def embed(model, pictures, batch_size=32):
    """Embeddings ``(n, dim)``, float32, of uint8 or float RGB pictures ``(n, side, side, 3)`` in [0, 255]."""
    backbone, neck, _ = siamese.parts(model)
    out = np.empty((len(pictures), neck.output_shape[-1]), np.float32)
    for start in range(0, len(pictures), batch_size):
        batch = np.asarray(pictures[start : start + batch_size], np.float32)
        out[start : start + batch_size] = np.asarray(neck(backbone(batch, training=False), training=False))
    return out


def compare(model, embeddings, references, block=4096):
    """Dissimilarity of each picture to each reference: ``(n, r)`` in [0, 1].

    Args:
        model: a two-picture model.
        embeddings: ``(n, dim)`` from `embed`.
        references: ``(r, dim)`` from `embed`.
        block: pairs compared at a time, which bounds the memory.
    """
    distance = siamese.parts(model).distance
    n, r = len(embeddings), len(references)
    rows, columns = np.divmod(np.arange(n * r), max(r, 1))
    out = np.empty(n * r, np.float32)
    for start in range(0, n * r, block):
        here = slice(start, start + block)
        out[here] = np.asarray(distance([references[columns[here]], embeddings[rows[here]]]))[:, 0]
    return out.reshape(n, r)


def reduce(dissimilarities, how="mean"):
    """One score a picture from its dissimilarities ``(n, r)`` to the references: ``(n,)``.

    ``"mean"`` over the references, the ``"min"`` (nearest reference), or that of the ``"first"``.
    """
    if how not in REDUCTIONS:
        raise ValueError(f"Expected a reduction among {REDUCTIONS}. Received: {how!r}")
    if how == "first":
        return dissimilarities[:, 0]
    return dissimilarities.mean(1) if how == "mean" else dissimilarities.min(1)


def calibrate(labels, scores):
    """The threshold that best separates training scores, from training pictures alone.

    It maximises recall of the defective plus recall of the good (Youden's J) over the cuts between
    neighbouring scores; of equally good cuts the one in the widest gap, and its middle.

    Args:
        labels: ``(n,)``, 1 defective.
        scores: ``(n,)``.

    Returns:
        A float; a picture is defective if its score is above it.
    """
    labels, scores = np.asarray(labels, bool), np.asarray(scores, np.float64)
    if labels.all() or not labels.any():
        raise ValueError(f"Expected good and defective pictures. Received: {labels.sum()} defective of {len(labels)}")
    order = np.argsort(scores, kind="stable")
    s, y = scores[order], labels[order]
    gaps = np.diff(s)
    j = np.cumsum(~y)[:-1] / (~y).sum() - np.cumsum(y)[:-1] / y.sum()
    j = np.where(gaps > 0, j, -np.inf)  # no threshold separates equal scores
    if not np.isfinite(j).any():
        return float(s[0])
    best = np.flatnonzero(j == j.max())
    cut = best[np.argmax(gaps[best])]
    return float((s[cut] + s[cut + 1]) / 2)
