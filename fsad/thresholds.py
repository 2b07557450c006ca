"""Score -> verdict: the threshold, how it was set, and how sure a verdict is.

A picture is defective if its score is above the threshold. Scores used here are held out: no picture is
judged by references or weights that know it. Few pictures support few targets; what they do not
support is said, not hidden.
"""

import dataclasses
import math

import numpy as np
from scipy.optimize import minimize_scalar

MIN_GOOD = 8
MIN_DEFECTIVE = 4  # fewer defective scores do not place a cut by themselves


@dataclasses.dataclass(frozen=True)
class Threshold:
    """``value``; ``how``: one sentence on how it was set; ``warnings``: sentences; ``scale``: score
    distance over which confidence grows, > 0; ``good``, ``defective``: the held-out scores."""

    value: float
    how: str
    warnings: tuple
    scale: float
    good: tuple
    defective: tuple

    def confidence(self, scores, threshold=None):
        """How sure the verdicts are: 0.5 at the threshold, towards 1 far from it; ``(n,)``.

        One logistic curve through the threshold (Platt 1999, with his corrected targets, so that a few
        pictures never give certainty), fitted to the held-out scores. With two dozen pictures read it
        as an order, not as a frequency.
        """
        apart = np.abs(np.asarray(scores, np.float64) - (self.value if threshold is None else threshold))
        return 1 / (1 + np.exp(-np.minimum(apart / self.scale, 500)))


def choose(good, defective=(), false_alarm_rate=None, miss_rate=None, held_out=True):
    """Sets the threshold from held-out scores.

    - ``false_alarm_rate``: the smallest cut that good pictures not seen before pass with at least that
      certainty (conformal quantile: ``ceil((n + 1)(1 - rate))``-th smallest of n good scores).
    - ``miss_rate``: the same from below on the defective scores.
    - neither, with `MIN_DEFECTIVE` defective scores or more: the cut that separates best (`separate`).
    - neither, with fewer: a false alarm rate of 0.05, or what the number of good pictures supports;
      where the defective scores lie above, the middle of the gap.

    Args:
        good: ``(n,)`` scores of good pictures, n >= 1.
        defective: ``(m,)`` scores of defective ones, possibly none.
        false_alarm_rate, miss_rate: in (0, 1); at most one of them.
        held_out: False if the scores are of pictures the model was trained on; then a warning says so.

    Returns:
        A `Threshold`.

    Raises:
        ValueError: no good score, both rates, a rate out of range, or a miss rate without defective scores.
    """
    # float32, as models and their exports compute: one threshold is the same number everywhere.
    good, defective = (np.sort(np.asarray(s, np.float32)) for s in (good, defective))
    if not len(good) or not np.isfinite(good).all() or not np.isfinite(defective).all():
        raise ValueError(f"Expected at least one good score, all finite. Received: {len(good)} good scores")
    if false_alarm_rate is not None and miss_rate is not None:
        raise ValueError("Expected a false alarm rate or a miss rate. Received: both")
    for name, rate in (("false_alarm_rate", false_alarm_rate), ("miss_rate", miss_rate)):
        if rate is not None and not 0 < rate < 1:
            raise ValueError(f"Expected {name} between 0 and 1. Received: {rate}")
    if miss_rate is not None:
        if not len(defective):
            raise ValueError("Expected defective pictures to aim at a miss rate. Received: none")
        value, how, warnings = _by_misses(defective, miss_rate)
    elif false_alarm_rate is not None:
        value, how, warnings = _by_false_alarms(good, false_alarm_rate)
    elif len(defective) >= MIN_DEFECTIVE:
        labels = np.repeat([0, 1], [len(good), len(defective)])
        value = separate(labels, np.concatenate([good, defective]))
        how = f"best separates the held-out scores of {len(good)} good and {len(defective)} defective pictures"
        warnings = []
    else:
        value, how, warnings = _by_false_alarms(good, max(0.05, 1 / (len(good) + 1)))
        if len(defective) and defective[0] > max(value, good[-1]):
            value = (max(value, good[-1]) + defective[0]) / 2
            how = f"middle of the gap between {len(good)} good and {len(defective)} defective held-out scores"
    value, warnings = np.float32(value), list(warnings)
    if len(defective) < MIN_DEFECTIVE:
        warnings.insert(0, _uncertain(len(defective)))
    if len(good) < MIN_GOOD:
        warnings.append(f"Only {len(good)} good pictures have a held-out score: expect false alarms; give 16 or more.")
    if missed := int((defective <= value).sum()):
        warnings.append(f"{missed} of the {len(defective)} defective pictures given score below the threshold.")
    if alarms := int((good > value).sum()):
        warnings.append(f"{alarms} of the {len(good)} good pictures given score above the threshold.")
    if not held_out:
        how = how.replace("held-out", "training")
        warnings.append("The scores are of training pictures: new pictures will be told apart less well.")
    return Threshold(float(value), how, tuple(warnings), _scale(good, defective, value),
                     tuple(good.tolist()), tuple(defective.tolist()))  # fmt: skip


def separate(labels, scores):
    """The threshold that best separates scores: recall of the defective plus recall of the good (Youden's J).

    It is the best of the cuts between neighbouring scores; of equally good cuts the one in the widest
    gap, and its middle.

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


def _by_false_alarms(good, rate):
    n = len(good)
    rank = math.ceil((n + 1) * (1 - rate) - 1e-9)
    how = f"false alarm rate {rate:.3g}: quantile of {n} held-out scores of good pictures"
    if rank <= n:
        return good[rank - 1], how, []
    needed = math.ceil(1 / rate - 1e-9) - 1
    return good[-1], f"{how}, here their largest", [
        f"{n} good pictures support a false alarm rate of {1 / (n + 1):.3g}, not {rate:.3g}: that takes {needed}."
    ]  # fmt: skip


def _by_misses(defective, rate):
    m = len(defective)
    rank = math.floor((m + 1) * rate + 1e-9)
    how = f"miss rate {rate:.3g}: quantile of {m} held-out scores of defective pictures"
    if rank >= 1:
        return np.nextafter(defective[rank - 1], np.float32(-np.inf)), how, []
    needed = math.ceil(1 / rate - 1e-9) - 1
    return np.nextafter(defective[0], np.float32(-np.inf)), f"{how}, here just under their smallest", [
        f"{m} defective pictures support a miss rate of {1 / (m + 1):.3g}, not {rate:.3g}: that takes {needed}."
    ]  # fmt: skip


def _uncertain(defective):
    seen = "No defective picture was" if not defective else f"Only {defective} defective picture(s) were"
    return f"{seen} given: how many defects are missed is not known."


def _scale(good, defective, value):
    """The scale of the logistic curve through ``value`` that makes the held-out labels most likely."""
    n, m = len(good), len(defective)
    margins = np.concatenate([good, defective]).astype(np.float64) - value
    targets = np.concatenate([np.full(n, 1 / (n + 2)), np.full(m, (m + 1) / (m + 2))])
    spread = max(np.abs(margins).max(), 1e-9)

    def loss(log_scale):
        z = margins / (spread * math.exp(log_scale))
        return np.mean(np.logaddexp(0, z) - targets * z)

    return float(spread * math.exp(minimize_scalar(loss, bounds=(-6, 6), method="bounded").x))
