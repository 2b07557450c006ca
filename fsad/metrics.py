"""Metrics of scores, as plain functions of arrays, and the intervals around them.

Labels are 1 for anomalous and 0 for normal; a higher score is more anomalous.
"""

import numpy as np
from scipy.ndimage import label as connected
from scipy.stats import rankdata


def _check(labels, scores):
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"Expected labels and scores of one shape (n,). Received: {labels.shape}, {scores.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"Expected labels 0 and 1. Received: {np.unique(labels)}")
    if not np.isfinite(scores).all():
        raise ValueError(f"Expected finite scores. Received: {(~np.isfinite(scores)).sum()} that are not")
    return labels.astype(bool), scores


def auroc(labels, scores):
    """Area under the ROC curve: P(anomalous score > normal score) + P(equal) / 2 (Mann-Whitney).

    Use raw scores: clipping or rounding first makes ties. NaN where one of the two classes is absent.
    """
    labels, scores = _check(labels, scores)
    p, n = labels.sum(), (~labels).sum()
    if not p or not n:
        return float("nan")
    return float((rankdata(scores)[labels].sum() - p * (p + 1) / 2) / (p * n))


def confusion(labels, predicted):
    """Counts ``{"tp", "fp", "fn", "tn"}``; positive is label 1, anomalous."""
    labels, predicted = np.asarray(labels, bool), np.asarray(predicted, bool)
    if labels.shape != predicted.shape:
        raise ValueError(f"Expected one prediction a label. Received: {labels.shape}, {predicted.shape}")
    return {
        "tp": int((labels & predicted).sum()),
        "fp": int((~labels & predicted).sum()),
        "fn": int((labels & ~predicted).sum()),
        "tn": int((~labels & ~predicted).sum()),
    }


def rates(counts, positive="different"):
    """Precision, recall, F1 and accuracy of a confusion, each in [0, 1]; NaN where nothing is to divide by.

    Args:
        counts: as `confusion` returns it.
        positive: ``"different"`` counts detected anomalies; ``"same"`` swaps the roles, which is how
            Senarathna and Wijesinghe (2025) print their tables (their label 1 is "similar").
    """
    tp, fp, fn, tn = (counts[k] for k in ("tp", "fp", "fn", "tn"))
    if positive == "same":
        tp, fp, fn, tn = tn, fn, fp, tp
    elif positive != "different":
        raise ValueError(f"Expected positive='different' or 'same'. Received: {positive!r}")

    def ratio(a, b):
        return a / b if b else float("nan")

    return {
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "accuracy": ratio(tp + tn, tp + fp + fn + tn),
    }


def f1_max(labels, scores):
    """The largest F1-score that any threshold reaches, positive is different (label 1)."""
    from sklearn.metrics import precision_recall_curve  # a second to import, which few callers need

    labels, scores = _check(labels, scores)
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def aupro(maps, masks, limit=0.3, steps=200):
    """Area under the per-region overlap curve up to a false positive rate (Bergmann et al. 2021, MVTec AD).

    The overlap of a region, one 8-connected piece of a mask, is the share of it above the threshold; every region
    counts alike, however small. The false positive rate is over all pixels outside of masks.

    Args:
        maps: arrays ``(H, W)``, higher is more anomalous.
        masks: bool arrays of the same shapes, without any True for good pictures.
        limit: of the false positive rate; the area is divided by it.
        steps: thresholds, at even steps of the false positive rate.

    Returns:
        In [0, 1]; NaN without any region.
    """
    for heat, mask in zip(maps, masks, strict=True):
        if heat.shape != mask.shape:
            raise ValueError(f"Expected a mask for each map. Received: {mask.shape} for {heat.shape}")
    clear = np.concatenate([heat[~mask] for heat, mask in zip(maps, masks, strict=True)])
    regions = []
    for heat, mask in zip(maps, masks, strict=True):
        pieces, count = connected(mask, np.ones((3, 3)))
        regions += [np.sort(heat[pieces == k]) for k in range(1, count + 1)]
    if not regions or not len(clear):
        return float("nan")
    rates = np.linspace(0, limit, steps)
    cuts = np.quantile(clear, 1 - rates)
    overlaps = np.mean([1 - np.searchsorted(region, cuts, "right") / len(region) for region in regions], axis=0)
    return float(np.trapezoid(overlaps, rates) / limit)


def interval(statistic, draws, rng, level=0.95, resamples=1000):
    """Bootstrap percentile interval of the mean, over the draws, of a statistic.

    Each resample takes draws with replacement and, within a draw, clusters of test pictures with
    replacement, class by class; pictures of one cluster (one physical part) stay together, since they
    are not independent. With one draw this is the ordinary stratified cluster bootstrap.

    Args:
        statistic: ``(labels, scores, threshold) -> sequence of k floats``.
        draws: a list of dicts with ``labels`` (n,), ``scores`` (n,), ``threshold`` and ``groups`` (n,).
        rng: an ``np.random.Generator``.
        level: coverage in (0, 1).
        resamples: how many.

    Returns:
        Array ``(k, 2)``: lower and upper bound of each statistic. NaNs within a resample are left out.
    """
    prepared = []
    for draw in draws:
        labels, scores = _check(draw["labels"], draw["scores"])
        groups = np.asarray(draw["groups"])
        strata = []
        for value in (False, True):
            here = np.flatnonzero(labels == value)
            here = here[np.argsort(groups[here], kind="stable")]
            strata.append(np.split(here, np.flatnonzero(np.diff(groups[here])) + 1) if len(here) else [])
        prepared.append((labels, scores, draw["threshold"], strata))
    means = []
    for _ in range(resamples):
        values = []
        for d in rng.integers(len(prepared), size=len(prepared)):
            labels, scores, threshold, strata = prepared[d]
            chosen = np.concatenate([s[c] for s in strata if s for c in rng.integers(len(s), size=len(s))])
            values.append(statistic(labels[chosen].astype(int), scores[chosen], threshold))
        values = np.asarray(values, np.float64)
        present = np.isfinite(values)
        total = np.where(present, values, 0).sum(0)
        means.append(np.where(present.any(0), total / np.maximum(present.sum(0), 1), np.nan))
    tail = 100 * (1 - level) / 2
    with np.errstate(invalid="ignore"):
        return np.nanpercentile(np.asarray(means), [tail, 100 - tail], axis=0).T
