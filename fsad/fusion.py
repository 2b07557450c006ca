"""The numbers that fuse the layers of `fsad.nearest_patch.NearestPatch`, from held-out distances of a few images."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

STRENGTH = 0.1  # of what defective images say against equal weights: C of the logistic regression
MIN_DEFECTIVE = 2  # of them, from which on they weigh
SMALLEST = 1e-3  # usual distance: images that are equal but for noise have less


class Numbers(NamedTuple):
    """What `NearestPatch.adapt` takes: ``usual_map`` ``(H, W, L)``; ``mean``, ``deviation``, ``weight`` ``(F,)``."""

    usual_map: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray


def fit(layer, good, defective, groups, weigh=True):
    """Finds the numbers, and the held-out scores.

    An image's distances, the usual map and the weights that make its held-out score know neither the image nor another
    of its group. Mean and deviation are of all good images: one scale for held-out and for new images, without which
    an image apart would score higher here than its like will later, and the threshold with it.

    Args:
        layer: a `NearestPatch`.
        good, defective: distances ``(n, H, W, L)`` and ``(m, H, W, L)`` (`NearestPatch.distances`); those of a good
            image to references of other groups only.
        groups: ``(n,)`` of the good images.
        weigh: whether two defective images or more weigh the features (`weights`).

    Returns:
        ``(numbers, good_scores, defective_scores)``: `Numbers`, ``(n,)`` and ``(m,)``.
    """
    groups, n = np.asarray(groups), len(good)
    usual_map = usual(layer, good)
    features = np.empty((n, layer.mean.shape[0]))
    for group in np.unique(groups):
        own, others = groups == group, groups != group
        features[own] = _features(layer, good[own], usual(layer, good[others]) if others.any() else usual_map)
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0, ddof=1), 1e-3)
    z = (features - mean) / deviation
    other = (_features(layer, defective, usual_map) - mean) / deviation if len(defective) else features[:0]
    weigh = weigh and len(other) >= MIN_DEFECTIVE
    every, labels = np.concatenate([z, other]), np.repeat([0, 1], [n, len(other)])
    equal = np.full(every.shape[1], 1 / every.shape[1])
    weight = weights(every, labels) if weigh else equal
    scores = every @ weight
    if weigh:  # each by weights that do not know it
        units = [*groups, *(-1 - np.arange(len(other)))]
        for unit in dict.fromkeys(units):
            own = np.array([u == unit for u in units])
            rest = labels[~own]
            scores[own] = every[own] @ (weights(every[~own], rest) if 0 < rest.sum() < len(rest) else equal)
    return Numbers(usual_map, mean, deviation, weight), scores[:n], scores[n:]


def usual(layer, good):
    """What is usual at each place, ``(H, W, L)``: half the mean of all good images' distances ``(n, H, W, L)``, and
    half their mean at this place, smoothed. Half, since all of it loses more than it gains where parts are not aligned.
    """
    everywhere = good.mean((0, 1, 2)) if layer.inside is None else good[:, layer.inside > 0].mean((0, 1))
    return np.maximum((everywhere + layer.smoothed(good.mean(0, keepdims=True))[0]) / 2, SMALLEST).astype(np.float32)


def weights(z, labels, strength=STRENGTH):
    """Weights of features ``z`` ``(n, F)`` that tell defective images (label 1) from good ones; their sum is 1.

    Logistic regression with both classes of equal weight. Penalized is how far the weights are from being equal, not
    how large they are: a few images correct the equal weights and do not replace them. None is negative, so that a
    larger distance never means a better part.
    """
    z, sign = np.asarray(z, np.float64), np.where(labels, 1.0, -1.0)
    share = np.where(labels, 0.5 / np.sum(labels), 0.5 / np.sum(1 - np.asarray(labels)))
    count, number = z.shape

    def loss(values):
        weight, bias = values[:-1], values[-1]
        margins = sign * (z @ weight + bias)
        slope = -share * sign / (1 + np.exp(np.minimum(margins, 500)))
        from_equal = weight - weight.mean()
        penalty = from_equal @ from_equal / (2 * strength * count) + weight @ weight * 0.005 / count
        gradient = z.T @ slope + from_equal / (strength * count) + weight * 0.01 / count
        return (share * np.logaddexp(0, -margins)).sum() + penalty, np.append(gradient, slope.sum())

    bounds = [(0, None)] * number + [(None, None)]
    solution = minimize(loss, np.append(np.full(number, 1 / number), 0.0), jac=True, method="L-BFGS-B", bounds=bounds)
    weight = solution.x[:-1]
    return weight / weight.sum() if weight.sum() > 1e-9 else np.full(number, 1 / number)


def _features(layer, maps, usual_map):
    return np.asarray(layer.features(maps.astype(np.float32), usual_map), np.float64)
