"""Six colour numbers of an image, and how well they alone tell two sets of images apart.

The simplest rule there is: where it works, a high score of any method may say no more than that two sets were
photographed under different light, or that the defect is large enough to change the colour of the whole image.
"""

import cv2
import numpy as np

from fsad import metrics

FOLDS = 5


def colours(image):
    """Mean and standard deviation of R, G and B, float32 ``(6,)`` in [0, 255], of uint8 RGB ``(H, W, 3)``."""
    return np.concatenate(cv2.meanStdDev(image)).ravel().astype(np.float32)


def rule():
    """A logistic regression on standardised colour numbers, unfitted (scikit-learn); classes weigh the same."""
    from sklearn.linear_model import LogisticRegression  # imported here: it takes a second, and few callers need it
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))


def confounds(dataset):
    """How well colour alone tells apart what should not differ by it: AUROC by what is told apart, possibly None.

    Args:
        dataset: from `fsad.inputs.with_groups`.

    Returns:
        A dict: ``"train/good from test/good"`` where both are there, and ``"good from defective"``; of a folder of
        classes ``"one class from the others"``, the mean over its classes.
    """
    labels, groups = (np.array([getattr(s, name) for s in dataset.samples]) for name in ("label", "group"))
    if dataset.layout == "classes":
        areas = [separability(dataset.colours, labels == label, groups) for label in np.unique(labels)]
        areas = [area for area in areas if area is not None]
        return {"one class from the others": float(np.mean(areas)) if areas else None}
    tests = np.array([s.split == "test" for s in dataset.samples])
    aurocs, good = {}, labels == 0
    if len(set(tests[good].tolist())) == 2:
        aurocs["train/good from test/good"] = separability(dataset.colours[good], tests[good], groups[good])
    return {**aurocs, "good from defective": separability(dataset.colours, labels, groups)}


def separability(numbers, labels, groups):
    """AUROC at which `rule` tells two sets of images apart, each image judged by a rule fitted without its part.

    Args:
        numbers: ``(n, 6)`` from `colours`.
        labels: ``(n,)``, 0 and 1.
        groups: ``(n,)``, equal for images of one part, which are held out together.

    Returns:
        The mean AUROC over at most `FOLDS` folds, in [0, 1]; None where a set has fewer than two parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    numbers, labels, groups = np.asarray(numbers), np.asarray(labels, int), np.asarray(groups)
    folds = min(FOLDS, *(len(set(groups[labels == value])) for value in (0, 1)))
    if folds < 2:
        return None
    areas = []
    for known, tested in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(numbers, labels, groups):
        if len(set(labels[known])) == len(set(labels[tested])) == 2:
            fitted = rule().fit(numbers[known], labels[known])
            areas.append(metrics.auroc(labels[tested], fitted.decision_function(numbers[tested])))
    return float(np.mean(areas)) if areas else None
