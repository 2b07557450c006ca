"""A detector goes on learning from its mistakes: false alarms become references, missed defects weigh.

Nothing but the detector itself is needed: it holds its training images. References, what is usual, weights and
threshold are fitted anew, to the old images and the new ones, which takes as long as a fit; its features,
with their principal components, stay as they were. A journal says what was learned, when, from which files, and what
that did to scores and threshold; the last entry can be undone.
"""

import dataclasses
import datetime
import json

import numpy as np

from fsad import fitting, recipes, support
from fsad.backbones import own
from fsad.fitted import Fitted
from fsad.thresholds import Threshold


def learn(detector, good=None, defect=None, by=None, progress=True) -> Fitted:
    """What a detector knows once it has learned from further images.

    Args:
        detector: a fitted `fsad.Detector`, which stays as it is.
        good: images of good parts, such as false alarms: paths, folders, globs or arrays (`fsad.inputs.find`). They
            become references before all others; if that makes more than ``max_references``, near-duplicates of theirs
            go first.
        defect: images of defective parts, such as missed ones.
        by: who says so, for the journal.
        progress: show progress bars on standard error.

    Raises:
        FileNotFoundError, ValueError: no image, or one that the detector was fitted with already.
    """
    if good is None and defect is None:
        raise ValueError("Expected good or defective images to learn from. Received: none")
    fitted, number, warnings = detector.fitted, len(detector.fitted.journal) + 1, []
    samples = support.select(good, defect, dataclasses.replace(detector.options, miss_rate=None), None, warnings)
    new, images, signatures = support.read(samples, detector.size, warnings, progress)
    if unreadable := [text for text in warnings if "left out" in text]:
        raise ValueError(f"Expected images that can be read. Received: {unreadable[0]}")
    known = {record["sha256"]: record for record in fitted.training if record["sha256"]}
    for record in new:
        if old := known.get(record["sha256"]):
            raise ValueError(
                f"{record['name']}: expected an image that is new to the detector. Received: one that it was fitted "
                f"with as {old['role']}"
            )
    before = detector.score(images)
    if fitted.aligner:
        aligned = [fitted.aligner(image) for image in images]
        for record, one in zip(new, aligned, strict=True):
            if one.matrix is None and record["role"] == "good":
                raise ValueError(
                    f"{record['name']}: expected a good image that can be aligned. Received: one that does not lock on "
                    "the reference image"
                )
        images = np.stack([one.image for one in aligned])
    old, rows = _kept(fitted)
    new = [{**record, "learned": number} for record in new]
    data = (old + new, np.concatenate([fitted.images[rows], images]),
            np.concatenate([fitted.signatures[: len(fitted.training)][_stored(fitted)], signatures]))  # fmt: skip
    changed = _fit(detector, *data, progress)
    learned = [record for record in changed.training if record.get("learned") == number]
    entry = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "by": by,
        "images": [
            {"name": r["name"], "sha256": r["sha256"], "role": r["role"], "score_before": float(s),
             "score_after": r["score"]}
            for r, s in zip(learned, before, strict=True)
        ],
        "threshold_before": dataclasses.asdict(fitted.threshold),
        "threshold_after": changed.threshold.value,
    }  # fmt: skip
    entry = json.loads(json.dumps(entry))  # as it will be read back
    return dataclasses.replace(changed, journal=(*fitted.journal, entry))


def undo(detector, progress=True) -> Fitted:
    """What a detector knew before it learned the last time; raises ValueError if it never did."""
    fitted = detector.fitted
    if not fitted.journal:
        raise ValueError("Expected a detector that has learned. Received: an empty journal")
    number, entry = len(fitted.journal), fitted.journal[-1]
    old, rows = _kept(fitted)
    keep = np.array([record.get("learned") != number for record in old])
    signatures = fitted.signatures[_stored(fitted)]
    records = [record for record, stays in zip(old, keep, strict=True) if stays]
    changed = _fit(detector, records, fitted.images[rows][keep], signatures[keep], progress)
    limits = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["threshold_before"].items()}
    return dataclasses.replace(changed.with_threshold(Threshold(**limits)), journal=fitted.journal[:-1])


def _stored(fitted):
    return [k for k, record in enumerate(fitted.training) if record["image"] is not None]


def _kept(fitted):
    """``(records, rows of their images)`` of the training images that the detector holds."""
    records = [dict(fitted.training[k]) for k in _stored(fitted)]
    return records, [record["image"] for record in records]


def _fit(detector, records, images, signatures, progress):
    fitted, options, warnings = detector.fitted, detector.options, []
    settings = fitted.settings
    if detector.recipe == "patches":
        if fitted.places is None:  # of a version that kept all patches: it goes on as it was
            settings = {**settings, "max_patches": None}
        recipe = recipes.patches.refit(fitted.model, fitted.weights, settings)
    else:  # from where the training started
        recipe = recipes.RECIPES[detector.recipe](**own.revived(fitted.settings))
    is_good = np.array([record["role"] == "good" for record in records])
    groups = support.group(recipe, options, records, images, signatures, is_good, warnings)
    data = support.Support(records, images, signatures, is_good, groups)
    rng = np.random.default_rng(options.seed)
    changed = fitting.fit_to(recipe, settings, options, data, rng, warnings, progress)
    return dataclasses.replace(changed, reference=fitted.reference)
