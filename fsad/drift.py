"""Has the light or the camera changed? Images as they come, compared with the good images of the fit.

Of each image, at the size that the network takes: ``brightness``, the mean of its gray values; ``sharpness``, the mean
size of the Laplacian over their deviation; ``warmth``, red minus blue over their sum. (Contrast was tried, and said too
often that parts of another batch are flatter.) A window of the latest images is compared with the training images,
number by number; of the scores, the lower quartile of the window with the upper quartile of the good images' held-out
ones, so that up to half the parts may be defective.

A change is said when it is both certain (Welch's t-test, p below `CERTAIN` for each number, in which all training
images of one part count once) and large (more than `LARGE` deviations of the training images): parts that differ among
each other are not drift. ``experiments/benchmarks/drift.py`` shows how soon, and how often falsely.
"""

import collections

import cv2
import numpy as np

WINDOW = 32  # images
FEWEST = 8  # of them before anything is said,
FEWEST_SCORES = 16  # and of their scores
CERTAIN = 1e-4
LARGE = 1.0  # deviations
SMALLEST = {"brightness": 1.0, "sharpness": 0.01, "warmth": 0.005}  # deviations, of equal images
NAMES = tuple(SMALLEST)
WORDS = {
    "brightness": ("darker", "brighter"),
    "sharpness": ("less sharp", "sharper or noisier"),
    "warmth": ("bluer", "redder"),
}
SCORES = "scores"


def numbers(image):
    """`NAMES` of one uint8 RGB image ``(h, w, 3)``, float64 ``(3,)``."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    brightness, contrast = float(gray.mean()), float(gray.std())
    laplacian = np.abs(cv2.Laplacian(gray, cv2.CV_32F)).mean()
    red, _, blue = image.reshape(-1, 3).mean(0)
    return np.array([brightness, laplacian / (contrast + 1), (red - blue) / (red + blue + 1)])


class Monitor:
    """Watches a stream of images.

    Args:
        images: uint8 ``(n, h, w, 3)``, the good images of the fit.
        scores: their held-out scores, any number.
        groups: ``(n,)``, equal for images of one part; each its own if None.
    """

    def __init__(self, images, scores, groups=None):
        values = np.array([numbers(image) for image in images])
        groups = np.arange(len(values)) if groups is None else np.asarray(groups)
        means = np.array([values[groups == group].mean(0) for group in np.unique(groups)])
        self.mean, self.count = means.mean(0), len(means)
        # Of single images, as those of the window are; of the parts, whose number says how well the mean is known.
        spreads = [part.std(0, ddof=1) if len(part) > 1 else np.zeros(len(NAMES)) for part in (values, means)]
        smallest = [SMALLEST[name] for name in NAMES]
        self.deviation, self.between = (np.maximum(spread, smallest) for spread in (np.maximum(*spreads), spreads[1]))
        self.upper = float(np.quantile(scores, 0.75)) if len(scores) else np.inf
        self.latest = collections.deque(maxlen=WINDOW)
        self.seen, self.unaligned, self.first = 0, 0, {}

    def see(self, prediction):
        """`update` for a `fsad.Prediction`; also says ``"not aligned"`` of one that did not lock."""
        changes = self.update(prediction.condition, prediction.score)
        self.unaligned += prediction.aligned is False
        return [*changes, "not aligned"] if prediction.aligned is False else changes

    def update(self, values, score):
        """Takes the next image, by its `numbers` and its score; returns what differs now, words for people."""
        self.latest.append((*values, score))
        self.seen += 1
        changes = self._changes()
        for name in changes:
            self.first.setdefault(name, self.seen)
        return changes

    def _changes(self):
        if len(self.latest) < FEWEST:
            return []
        window = np.array(self.latest)
        values, changes = window[:, :-1], []
        differences = values.mean(0) - self.mean
        for k, name in enumerate(NAMES):
            own = max(values[:, k].std(ddof=1), SMALLEST[name] / 10)
            known = self.between[k], max(self.count, 2)
            p = welch(differences[k], (own, len(window)), known)
            if abs(differences[k]) > LARGE * self.deviation[k] and p < CERTAIN:
                changes.append(WORDS[name][int(differences[k] > 0)])
        if len(window) >= FEWEST_SCORES and np.quantile(window[:, -1], 0.25) > self.upper:
            changes.append(SCORES)
        return changes

    def sentences(self):
        """What changed while watching, a list of sentences."""
        lines = []
        for name, at in self.first.items():
            what = "Scores are higher" if name == SCORES else f"Images are {name}"
            lines.append(f"{what} than those of the good images of the fit, noticed at image {at} of {self.seen}.")
        if lines:
            lines.append("Check light, camera and position; fit again, or learn good images of the new state.")
        if self.unaligned:
            lines.append(
                f"{self.unaligned} of {self.seen} images could not be aligned and were scored as they lie: another "
                "part, or one that is moved or turned too far."
            )
        return lines


def welch(difference, one, other):
    """p-value of a difference of two means, each known by a deviation and a count (Welch's t-test, two-sided)."""
    first, second = (deviation**2 / count for deviation, count in (one, other))
    freedom = (first + second) ** 2 / (first**2 / (one[1] - 1) + second**2 / (other[1] - 1))
    # With t = sqrt(freedom) tan(angle), Student's density is a power of the cosine.
    angle = np.arctan(abs(difference) / ((first + second) * freedom) ** 0.5)
    tail, whole = (np.linspace(start, np.pi / 2, 2001) for start in (angle, 0.0))
    return np.trapezoid(np.cos(tail) ** (freedom - 1), tail) / np.trapezoid(np.cos(whole) ** (freedom - 1), whole)


def monitor_of(fitted):
    """The monitor of a `fsad.fitted.Fitted`."""
    good = [r for r in fitted.training if r["role"] == "good" and r["image"] is not None]
    images = fitted.images[[record["image"] for record in good]]
    return Monitor(images, fitted.threshold.good, [record["group"] for record in good])
