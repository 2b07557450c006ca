"""Splits that keep one physical part on one side: few shots of a data set of defects, shares of one of classes."""

import dataclasses
import warnings

import numpy as np


@dataclasses.dataclass(frozen=True)
class Shots:
    """A few-shot split; each field is a tuple of samples."""

    anchors: tuple
    good: tuple
    defective: tuple
    test: tuple


def check_labels(dataset):
    """Raises ValueError unless a data set tells good from defective pictures, as class folders do not."""
    if dataset.layout == "classes":
        raise ValueError(
            f"{dataset.folder}: expected a folder named good, ok or normal beside those of the defects. "
            f"Received: {', '.join(dataset.counts())}"
        )


def sample_shots(dataset, rng, anchors=8, good=8, defective=8, hold_out=None, test_per_class=None, test_good=None):
    """Draws the support pictures and the test set of one run.

    Every support picture is of a group of its own, and no group of the support is in the test set: two
    photographs of one part never face each other. The defective ones take the defect types in turn, in
    random order. The test set has as many good as defective pictures.

    Args:
        dataset: from `with_groups`.
        rng: an ``np.random.Generator``.
        anchors, good, defective: support pictures of each role.
        hold_out: a defect type kept out of the support (it stays in the test set).
        test_per_class: at most so many test pictures of each class; all that balance allows if None.
        test_good: at most so many good ones instead, whatever the number of defective ones.

    Raises:
        ValueError: groups are missing, the type is unknown, or there are too few distinct parts.
    """
    if any(s.group < 0 for s in dataset.samples):
        raise ValueError(f"{dataset.folder}: expected near-duplicate groups. Received: none; call with_groups first")
    check_labels(dataset)
    types = sorted({s.kind for s in dataset.samples if s.label})
    if hold_out is not None and hold_out not in types:
        raise ValueError(f"{dataset.folder}: expected hold_out among {types}. Received: {hold_out!r}")
    order = [dataset.samples[k] for k in rng.permutation(len(dataset.samples))]
    used = set()

    def take(queues, count, what):
        """The next picture of an unused group from each queue in turn."""
        queues, chosen = [iter(q) for q in queues], []
        while len(chosen) < count and queues:
            queue = queues.pop(0)
            sample = next((s for s in queue if s.group not in used), None)
            if sample is not None:
                used.add(sample.group)
                chosen.append(sample)
                queues.append(queue)
        if len(chosen) < count:
            raise ValueError(f"{dataset.folder}: expected {count} distinct {what}. Received: {len(chosen)}")
        return tuple(chosen)

    by_type = [[s for s in order if s.kind == t] for t in rng.permutation(types) if t != hold_out]
    defective = take(by_type, defective, "defective parts")
    clean = [[s for s in order if not s.label]]
    anchors = take(clean, anchors, "good parts as anchors")
    good = take(clean, good, "further good parts")
    left = [s for s in order if s.group not in used]
    test = [[s for s in left if bool(s.label) == value] for value in (False, True)]
    count = min(map(len, test)) if test_good is None else len(test[1])
    count = count if test_per_class is None else min(count, test_per_class)
    good_count = count if test_good is None else min(test_good, len(test[0]))
    if not count or not good_count:
        raise ValueError(f"{dataset.folder}: expected good and defective pictures left to test on. Received: none")
    return Shots(anchors, good, defective, tuple(test[0][:good_count] + test[1][:count]))


def by_class(dataset, rng, test=0.2, validation=0.1):
    """Splits a data set of classes so that each class keeps its share, and no group is on two sides.

    Livieris et al. (2023): 80 % to train, 20 % to test, and 10 % of the training part to validate.

    Args:
        dataset: from `with_groups`.
        rng: an ``np.random.Generator``.
        test: share of all pictures: one over a whole number.
        validation: share of the rest, likewise.

    Returns:
        ``(train, validation, test)``: int arrays, rows of ``dataset.samples``. Shares are met as nearly as whole
        groups allow.

    Raises:
        ValueError: no groups, another layout than classes, another share, or too few pictures for the shares.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # a second to import, which few callers need

    if any(s.group < 0 for s in dataset.samples):
        raise ValueError(f"{dataset.folder}: expected near-duplicate groups. Received: none; call with_groups first")
    if dataset.layout != "classes":
        raise ValueError(f"{dataset.folder}: expected one folder a class. Received: the {dataset.layout} layout")
    labels, groups = (np.array([getattr(s, name) for s in dataset.samples]) for name in ("label", "group"))

    def cut(rows, share):
        if not 0 < share <= 0.5 or abs(1 / share - round(1 / share)) > 1e-6:
            raise ValueError(f"Expected a share of one over a whole number, such as 0.2. Received: {share}")
        count = round(1 / share)
        if np.bincount(labels[rows]).max() < count or len(set(groups[rows])) < count:
            raise ValueError(
                f"{dataset.folder}: expected {count} pictures of some class, and as many parts, to hold out "
                f"{share:.0%}. Received: {dataset.counts()}"
            )
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class of fewer pictures than folds
            sides = next(folds.split(rows, labels[rows], groups[rows]))
        if not all(map(len, sides)):
            raise ValueError(f"{dataset.folder}: expected parts enough to hold out {share:.0%}. Received: too few")
        return [rows[side] for side in sides]

    rest, tested = cut(np.arange(len(labels)), test)
    train, validated = cut(rest, validation)
    return train, validated, tested
