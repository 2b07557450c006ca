"""Score -> verdict: the threshold, how it was set, and the confidence of a verdict.

An image is defective if its score is above the threshold, unsure if it lies in a band around it that `band` sets. The
scores used here are held out: no image is compared with references, or scored by weights, that include it. Few images
support few targets; a warning says so if a target is not supported.
"""

import dataclasses
import math

import numpy as np

MIN_GOOD = 8
MIN_DEFECTIVE = 4  # fewer defective scores do not set a threshold by themselves
_BOUND = "a quarter of the held-out scores of {} good images: the defective ones, {}, do not score higher than most"
MAX_ALARMS = 0.25  # of the good scores that fewer defective ones put above the threshold


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A threshold and the scores it was set from.

    Attributes:
        value: an image with a higher score is defective.
        how: a phrase that says how the value was set.
        warnings: sentences.
        scale: score distance over which confidence grows, > 0.
        good, defective: the held-out scores.
        held_out: False if they are scores of images that the model was trained on.
        unsure: ``(low, high)``: an image with a score above low, and not above high, is unsure; None for no band.
    """

    value: float
    how: str
    warnings: tuple
    scale: float
    good: tuple
    defective: tuple
    held_out: bool = True
    unsure: tuple | None = None

    def verdict(self, score, threshold=None):
        """``"good"``, ``"defective"`` or ``"unsure"``; ``threshold`` replaces ``value``, and there is no band then."""
        if threshold is None and self.unsure and self.unsure[0] < score <= self.unsure[1]:
            return "unsure"
        return "defective" if score > (self.value if threshold is None else threshold) else "good"

    def confidence(self, scores, threshold=None):
        """Confidence of the verdicts ``(n,)``: 0.5 at the threshold, approaching 1 far from it.

        One logistic curve through the threshold (Platt 1999, with his corrected targets, so that a few images
        never yield certainty), fitted to the held-out scores. With two dozen images it is a ranking, not a
        calibrated probability.

        Args:
            scores: ``(n,)``.
            threshold: replaces ``value`` if given.
        """
        margins = np.abs(np.asarray(scores, np.float64) - (self.value if threshold is None else threshold))
        return 1 / (1 + np.exp(-np.minimum(margins / self.scale, 500)))


def choose(good, defective=(), false_alarm_rate=None, miss_rate=None, held_out=True, value=None):
    """Sets the threshold from held-out scores.

    - With ``false_alarm_rate``: the smallest value that a new good image exceeds with at most that probability
      (conformal quantile: the ``ceil((n + 1)(1 - rate))``-th smallest of n good scores).
    - With ``miss_rate``: the same from below, on the defective scores.
    - With neither, and no defective scores: a false alarm rate of 0.05, or the lowest that the number of good images
      supports.
    - With neither, and defective scores: where good and defective are as likely (`as_likely`). Fewer than
      `MIN_DEFECTIVE` lower the value for that false alarm rate at most, since they may be the obvious ones, and not
      below what `MAX_ALARMS` of the good scores exceed, since they may be the faint ones.

    Args:
        good: ``(n,)`` scores of good images, n >= 1.
        defective: ``(m,)`` scores of defective images, possibly none.
        false_alarm_rate, miss_rate: in (0, 1); at most one of them.
        held_out: False if the model was trained on the scored images; then a warning says so.
        value: the threshold itself, in place of all that.

    Returns:
        A `Threshold`.

    Raises:
        ValueError: no good score, more than one of value and rates, one out of range, or a miss rate without
            defective scores.
    """
    # float32, as models and their exports compute, so that a threshold is the same number in every runtime.
    good, defective = (np.sort(np.asarray(s, np.float32)) for s in (good, defective))
    if not len(good) or not np.isfinite(good).all() or not np.isfinite(defective).all():
        raise ValueError(f"Expected at least one good score, all finite. Received: {len(good)} good scores")
    if sum(given is not None for given in (value, false_alarm_rate, miss_rate)) > 1:
        raise ValueError("Expected one of a value, a false alarm rate and a miss rate. Received: more")
    if value is not None and not math.isfinite(value):
        raise ValueError(f"Expected a finite threshold. Received: {value}")
    for name, rate in (("false_alarm_rate", false_alarm_rate), ("miss_rate", miss_rate)):
        if rate is not None and not 0 < rate < 1:
            raise ValueError(f"Expected {name} between 0 and 1. Received: {rate}")
    if value is not None:
        how, warnings = "set by hand", []
    elif miss_rate is not None:
        if not len(defective):
            raise ValueError("Expected defective images to set a miss rate. Received: none")
        value, how, warnings = _by_misses(defective, miss_rate)
    elif false_alarm_rate is not None:
        value, how, warnings = _by_false_alarms(good, false_alarm_rate)
    else:
        value, how, warnings = _by_false_alarms(good, max(0.05, 1 / (len(good) + 1)))
        likely = as_likely(good, defective) if len(defective) else None
        if likely is not None and len(defective) < MIN_DEFECTIVE:
            bound = np.quantile(good, 1 - MAX_ALARMS)
            if likely < bound < value:
                value, how, warnings, likely = bound, _BOUND.format(len(good), len(defective)), [], None
            elif likely >= value:
                likely = None
        if likely is not None and likely != value:
            images = f"{len(good)} good and {len(defective)} defective image{'' if len(defective) == 1 else 's'}"
            value, how, warnings = likely, f"equal likelihood by the held-out scores of {images}", []
    value, warnings = np.float32(value), list(warnings)
    if len(defective) < MIN_DEFECTIVE:
        warnings.insert(0, _few_defective(len(defective)))
    if len(good) < MIN_GOOD:
        warnings.append(f"Only {len(good)} good images have a held-out score. Expect false alarms; give 16 or more.")
    if misses := int((defective <= value).sum()):
        warnings.append(f"{misses} of the {len(defective)} defective images scored below the threshold.")
    if misses == len(defective) >= MIN_DEFECTIVE:
        warnings.append("None of them is told from good images: are good and defective ones swapped?")
    if false_alarms := int((good > value).sum()):
        warnings.append(f"{false_alarms} of the {len(good)} good images scored above the threshold.")
    if not held_out:
        how = how.replace("held-out", "training")
        warnings.append("The threshold is set on scores of training images. Expect lower accuracy on new images.")
    return Threshold(float(value), how, tuple(warnings), _scale(good, defective, value),
                     tuple(good.tolist()), tuple(defective.tolist()), held_out)  # fmt: skip


def band(threshold, rate):
    """The threshold with a band of unsure scores around it: above it at most a share ``rate`` of new good images, and
    below it at most that share of new defective ones (two conformal quantiles, of the held-out scores of each).

    Between quantiles that do not overlap lie scores that neither kind has shown; they are unsure too.

    Raises:
        ValueError: a rate that is not between 0 and 1, or no defective scores, which the lower end needs.
    """
    if not 0 < rate < 1:
        raise ValueError(f"Expected a rate between 0 and 1. Received: {rate}")
    if not threshold.defective:
        raise ValueError(
            "Expected a detector fitted with defective images to set a band of unsure scores. Received: none"
        )
    upper, _, few_good = _by_false_alarms(np.float32(threshold.good), rate)
    lower, _, few_defective = _by_misses(np.float32(threshold.defective), rate)
    ends = [float(upper), float(lower), threshold.value]
    warnings = tuple(text for text in threshold.warnings if text not in (*few_good, *few_defective))
    how = f"{threshold.how.partition('; unsure')[0]}; unsure by a rate of {rate:.3g} to either side"
    return dataclasses.replace(
        threshold, how=how, unsure=(min(ends), max(ends)), warnings=(*warnings, *few_good, *few_defective)
    )


def as_likely(good, defective):
    """The score at which good and defective are equally likely, by a logistic curve fitted to scores ``(n,)`` and
    ``(m,)`` with both classes of equal weight; None if the curve falls, where defective images score lower.

    A cut that separates best, as `separate` finds it, jumps from gap to gap with the few images that lie near it; the
    curve asks all of them. On four real data sets F1 was 0.01 to 0.06 better by it, from 1 to 8 defective images.
    """
    from sklearn.linear_model import LogisticRegression  # a second to import, which scoring does not need

    scores = np.concatenate([good, defective]).astype(np.float64)
    scale = max(np.std(good), 1e-3 * np.ptp(scores), 1e-12)
    curve = LogisticRegression(class_weight="balanced")
    curve.fit(scores[:, None] / scale, np.repeat([0, 1], [len(good), len(defective)]))
    slope = curve.coef_[0, 0]
    return -curve.intercept_[0] / slope * scale if slope > 1e-9 else None


def separate(labels, scores):
    """The threshold with the largest sum of recall on defective and on good images (Youden's J).

    Candidates lie between neighbouring scores; of equally good ones the widest gap wins, and its middle is taken.

    Args:
        labels: ``(n,)``, 1 defective.
        scores: ``(n,)``.

    Returns:
        A float; an image is defective if its score is above it.
    """
    labels, scores = np.asarray(labels, bool), np.asarray(scores, np.float64)
    if labels.all() or not labels.any():
        raise ValueError(f"Expected good and defective images. Received: {labels.sum()} defective of {len(labels)}")
    order = np.argsort(scores, kind="stable")
    s, y = scores[order], labels[order]
    gaps = np.diff(s)
    j = np.cumsum(~y)[:-1] / (~y).sum() - np.cumsum(y)[:-1] / y.sum()
    j = np.where(gaps > 0, j, -np.inf)  # no threshold separates equal scores
    if not np.isfinite(j).any():
        return float(s[0])
    best = np.flatnonzero(j == j.max())
    widest = best[np.argmax(gaps[best])]
    return float((s[widest] + s[widest + 1]) / 2)


def _by_false_alarms(good, rate):
    n = len(good)
    rank = math.ceil((n + 1) * (1 - rate) - 1e-9)
    if rank <= n:
        return good[rank - 1], f"false alarm rate {rate:.3g}: quantile of the held-out scores of {n} good images", []
    needed = math.ceil(1 / rate - 1e-9) - 1
    how = (
        f"false alarm rate {1 / (n + 1):.3g}, the lowest that {n} good images support: the largest of their held-out "
        "scores"
    )
    return good[-1], how, [
        f"{n} good images support a false alarm rate of {1 / (n + 1):.3g}; {rate:.3g} needs {needed}."
    ]  # fmt: skip


def _by_misses(defective, rate):
    m = len(defective)
    rank = math.floor((m + 1) * rate + 1e-9)
    if rank >= 1:
        how = f"miss rate {rate:.3g}: quantile of the held-out scores of {m} defective images"
        return np.nextafter(defective[rank - 1], np.float32(-np.inf)), how, []
    needed = math.ceil(1 / rate - 1e-9) - 1
    how = (
        f"miss rate {1 / (m + 1):.3g}, the lowest that {m} defective images support: just below the smallest of their "
        "held-out scores"
    )
    return np.nextafter(defective[0], np.float32(-np.inf)), how, [
        f"{m} defective images support a miss rate of {1 / (m + 1):.3g}; {rate:.3g} needs {needed}."
    ]  # fmt: skip


def _few_defective(count):
    number = f"Only {count}" if count else "No"
    return f"{number} defective image{'' if count == 1 else 's'} given: the miss rate is unknown."


def _scale(good, defective, value):
    """The scale that maximizes the likelihood of the held-out labels under a logistic curve through ``value``."""
    n, m = len(good), len(defective)
    margins = np.concatenate([good, defective]).astype(np.float64) - value
    targets = np.concatenate([np.full(n, 1 / (n + 2)), np.full(m, (m + 1) / (m + 2))])
    spread = max(np.abs(margins).max(), 1e-9)

    middle, reach = 0.0, 6.0
    for _ in range(4):  # a grid, finer and finer: the loss has one minimum
        log_scales = np.linspace(max(-6, middle - reach), min(6, middle + reach), 61)
        z = margins / (spread * np.exp(log_scales))[:, None]
        loss = np.mean(np.logaddexp(0, z) - targets * z, axis=1)
        middle, reach = log_scales[np.argmin(loss)], reach / 20
    return float(spread * math.exp(middle))
