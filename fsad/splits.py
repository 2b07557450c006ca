"""Splits that keep each physical part on one side: few shots of a defect data set, fractions of a class data set."""

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
    """Raises ValueError if a data set does not label images as good or defective, as class folders do not."""
    if dataset.layout == "classes":
        raise ValueError(
            f"{dataset.folder}: expected a folder named good, ok or normal beside the defect folders. "
            f"Received: {', '.join(dataset.counts())}"
        )


def sample_shots(
    dataset,
    rng,
    anchors=8,
    good=8,
    defective=8,
    hold_out=None,
    test_per_class=None,
    test_good=None,
    pooled=False,
    distinct=True,
):
    """Draws the support images and the test set of one run.

    Each support image comes from a group of its own, and the test set contains no group of the support: two
    photographs of one part never face each other. Defective shots cycle through the defect types in random
    order. The test set has as many good as defective images.

    In the MVTec AD layout good support images come from ``train/``, and test images from ``test/`` only: its two
    folders may have been photographed on different days, and a rule could then tell the days apart.

    Args:
        dataset: from `fsad.inputs.with_groups`.
        rng: an ``np.random.Generator``.
        anchors, good, defective: number of support images of each role.
        hold_out: a defect type excluded from the support; the test set still contains it.
        test_per_class: upper limit of test images per class; None takes as many as balance allows.
        test_good: upper limit of good test images instead, independent of the number of defective ones.
        pooled: in the MVTec AD layout, draw good images from ``train/`` and ``test/`` together.
        distinct: False for a data set of few, large groups: a random half of them is for the support, which may then
            have several images of one group, and the other half for the test.

    Raises:
        ValueError: groups are missing, the defect type is unknown, there are too few distinct parts, or no good image
            is left for testing.
    """
    _check_groups(dataset)
    check_labels(dataset)
    types = sorted({s.kind for s in dataset.samples if s.label})
    if hold_out is not None and hold_out not in types:
        raise ValueError(f"{dataset.folder}: expected hold_out among {types}. Received: {hold_out!r}")
    order = [dataset.samples[k] for k in rng.permutation(len(dataset.samples))]
    support_groups = set()
    if not distinct:
        numbers = rng.permutation(np.unique([s.group for s in order])).tolist()
        support_groups.update(numbers[: len(numbers) // 2])
    used, taken = set(), set()

    def free(sample):
        if distinct:
            return sample.group not in used
        return sample.group in support_groups and sample not in taken

    def take(queues, count, what):
        """The next image of an unused group from each queue in turn."""
        queues, chosen = [iter(q) for q in queues], []
        while len(chosen) < count and queues:
            queue = queues.pop(0)
            sample = next((s for s in queue if free(s)), None)
            if sample is not None:
                used.add(sample.group)
                taken.add(sample)
                chosen.append(sample)
                queues.append(queue)
        if len(chosen) < count:
            hint = ""
            if separate and "good" in what and any(not s.label and s.split == "test" for s in dataset.samples):
                hint = "; those of the test folder are taken too if pooled"
            raise ValueError(f"{dataset.folder}: expected {count} distinct {what}. Received: {len(chosen)}{hint}")
        return tuple(chosen)

    separate = dataset.layout == "MVTec AD" and not pooled
    by_type = [[s for s in order if s.kind == t] for t in rng.permutation(types) if t != hold_out]
    defective = take(by_type, defective, "defective parts")
    normal = [[s for s in order if not s.label and not (separate and s.split == "test")]]
    anchors = take(normal, anchors, "good parts as anchors")
    good = take(normal, good, f"good parts beside {len(anchors)} anchors")
    used |= support_groups
    remaining = [s for s in order if s.group not in used and not (separate and s.split == "train")]
    test = [[s for s in remaining if bool(s.label) == value] for value in (False, True)]
    count = min(map(len, test)) if test_good is None else len(test[1])
    count = count if test_per_class is None else min(count, test_per_class)
    good_count = count if test_good is None else min(test_good, len(test[0]))
    if not count or not good_count:
        pool = "; good images of train/ are tested only if pooled" if separate and not test[0] else ""
        raise ValueError(f"{dataset.folder}: expected good and defective images left for testing. Received: none{pool}")
    return Shots(anchors, good, defective, tuple(test[0][:good_count] + test[1][:count]))


def by_class(dataset, rng, test=0.2, validation=0.1):
    """Splits a class data set so that class proportions are preserved and no group is on two sides.

    Livieris et al. (2023): 80% for training, 20% for testing, and 10% of the training part for validation.

    Args:
        dataset: from `fsad.inputs.with_groups`.
        rng: an ``np.random.Generator``.
        test: fraction of all images: 1 divided by a whole number, at most 0.5.
        validation: fraction of the remaining images, likewise.

    Returns:
        ``(train, validation, test)``: int arrays, rows of ``dataset.samples``. Fractions are met as closely as
        whole groups allow.

    Raises:
        ValueError: groups are missing, the layout is not one of classes, a fraction is not allowed, or there are
            too few images for it.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # imported here: it takes a second, few callers need it

    _check_groups(dataset)
    if dataset.layout != "classes":
        raise ValueError(f"{dataset.folder}: expected one folder per class. Received: the {dataset.layout} layout")
    labels, groups = (np.array([getattr(s, name) for s in dataset.samples]) for name in ("label", "group"))

    def split(rows, fraction):
        if not 0 < fraction <= 0.5 or abs(1 / fraction - round(1 / fraction)) > 1e-6:
            raise ValueError(f"Expected a fraction of 1 divided by a whole number, such as 0.2. Received: {fraction}")
        count = round(1 / fraction)
        if np.bincount(labels[rows]).max() < count or len(set(groups[rows])) < count:
            raise ValueError(
                f"{dataset.folder}: expected at least {count} images of one class, and as many parts, to hold out "
                f"{fraction:.0%}. Received: {dataset.counts()}"
            )
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # some class has fewer images than there are folds
            sides = next(folds.split(rows, labels[rows], groups[rows]))
        if not all(map(len, sides)):
            raise ValueError(f"{dataset.folder}: expected enough parts to hold out {fraction:.0%}. Received: too few")
        return [rows[side] for side in sides]

    rest, test_rows = split(np.arange(len(labels)), test)
    train_rows, validation_rows = split(rest, validation)
    return train_rows, validation_rows, test_rows


def _check_groups(dataset):
    if not all(isinstance(s.group, int) for s in dataset.samples):
        raise ValueError(f"{dataset.folder}: expected near-duplicate groups. Received: none; call with_groups first")
