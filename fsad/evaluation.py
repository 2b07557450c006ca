"""How well a detector does on labelled images it has not seen."""

import cv2
import numpy as np
from tqdm import tqdm

from fsad import duplicates, inputs, metrics
from fsad.files import sha256
from fsad.images import ImageError, read_mask

SEEN, UNLABELLED = "of parts the detector was fitted with", "without a label"
EXPECTED = (SEEN, UNLABELLED)
NAMES = ("auroc", "f1", "precision", "recall", "accuracy")


def evaluate(detector, given, progress=True):
    """Image metrics with 95 % intervals; defective is the positive class, rates are at the detector's threshold.

    Images of a part that the detector was fitted with, recognised by near-duplicate signatures
    (`fsad.duplicates`) or by the name of the part, are left out: a defect learned by heart proves nothing. Intervals
    come from a
    bootstrap over parts (`fsad.metrics.interval`).

    Args:
        detector: a fitted `fsad.Detector`.
        given: a folder in a layout of `fsad.inputs` that tells good from defective, or labelled samples.
        progress: show a bar on standard error.

    Returns:
        A dict of plain values: each of `NAMES` and ``intervals`` of each; ``threshold``, ``confusion``,
        ``images`` (counts by kind), ``parts``; ``auroc_by_kind``; ``pixel_auroc``, the mean over the defective
        images with a mask (None without); ``left_out``: ``[name, reason]`` of every image not used; `alike`.

    Raises:
        ValueError: no labels, or not both good and defective images that can be used.
    """
    samples = inputs.find(given, detector.options.group_pattern)
    labelled, where = [s for s in samples if s.label is not None], samples[0].folder or samples[0].name
    if not labelled:
        raise ValueError(
            f"{where}: expected a folder that tells good from defective (good/ and defect/, or as MVTec AD). "
            f"Received: no label for {samples[0].name}"
        )
    left_out = [[s.name, UNLABELLED] for s in samples if s.label is None]
    predictions, areas = [], []
    stream = detector.stream(labelled, details=True)
    for p in tqdm(stream, total=len(labelled), desc="scoring", unit="image", disable=not progress, leave=False):
        if p.error:
            left_out.append([p.name, p.error])
            continue
        try:
            areas.append(pixel_auroc(p.anomaly_map, p.sample.mask))
        except ImageError as error:
            left_out.append([str(p.sample.mask), f"mask: {error.reason}"])
            areas.append(None)
        predictions.append((p.bare(), p.signature))
    seen, groups = seen_parts(detector, [p.sample for p, _ in predictions], [signature for _, signature in predictions])
    left_out += [[p.name, SEEN] for (p, _), is_seen in zip(predictions, seen, strict=True) if is_seen]
    rows = np.flatnonzero(~seen)
    used = [predictions[k][0] for k in rows]
    labels, scores = np.array([p.sample.label for p in used], int), np.array([p.score for p in used])
    if len(set(labels.tolist())) < 2:
        raise ValueError(
            f"{where}: expected good and defective images of parts the detector has not seen. "
            f"Received: {(labels == 0).sum()} good and {(labels == 1).sum()} defective; {len(left_out)} left out"
        )
    limit = detector.threshold.value
    draw = {"labels": labels, "scores": scores, "groups": groups[rows], "threshold": limit}
    bounds = metrics.interval(statistics, [draw], np.random.default_rng(0))
    kinds = [p.sample.kind for p in used]
    measured = [areas[k] for k in rows if areas[k] is not None]
    return {
        **dict(zip(NAMES, _plain(statistics(labels, scores, limit)), strict=True)),
        "intervals": {name: _plain(pair) for name, pair in zip(NAMES, bounds, strict=True)},
        "threshold": limit,
        "confusion": metrics.confusion(labels, scores > limit),
        "images": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "parts": len(set(draw["groups"].tolist())),
        "auroc_by_kind": _by_kind(labels, scores, kinds),
        "pixel_auroc": float(np.mean(measured)) if measured else None,
        "left_out": left_out,
        "alike": alike(detector),
    }


def seen_parts(detector, samples, signatures):
    """Which images show a part the detector was fitted with, by their bytes or as near-duplicates.

    Args:
        detector: a fitted `fsad.Detector`.
        samples: `fsad.inputs.Sample` of the images.
        signatures: theirs, as `fsad.duplicates.signature` makes them.

    Returns:
        ``(seen, groups)``: bool ``(n,)``, and the group of each image among these, int ``(n,)``.
    """
    hashes = {record["sha256"] for record in detector.fitted.training} - {None}
    same = np.array([s.path is not None and s.path.is_file() and sha256(s.path) in hashes for s in samples], bool)
    if alike(detector):
        return same, np.arange(len(samples))
    fitted = detector.fitted.signatures
    parts = [record.get("part") for record in detector.fitted.training]  # detectors of earlier versions have none
    groups = duplicates.groups(
        [*fitted, *signatures],
        known=parts + [s.part for s in samples],
        trusted=detector.options.group_pattern is not None,
    )
    groups, fitted_groups = groups[len(fitted) :], set(groups[: len(fitted)])
    return same | np.isin(groups, list(fitted_groups | set(groups[same]))), groups


def alike(detector):
    """Whether the good images of the fit all look like one part, as even surfaces in a fixed camera do: then each
    counts as a part of its own, there and here, and only the same file is a part seen before."""
    records = detector.fitted.training
    good = [k for k, record in enumerate(records) if record["role"] == "good"]
    if detector.options.group_pattern is not None or len({records[k]["group"] for k in good}) < 2:
        return False
    groups = duplicates.groups(detector.fitted.signatures, known=[record["part"] for record in records])
    return len(set(groups[good])) == 1


def statistics(labels, scores, threshold):
    """`NAMES` of one set of scores, as `fsad.metrics.interval` takes them; NaN where one is not defined."""
    rates = metrics.rates(metrics.confusion(labels, scores > threshold))
    return [metrics.auroc(labels, scores), *(rates[name] for name in NAMES[1:])]


def _plain(values):
    """Floats, with None for NaN, which JSON does not have."""
    return [float(v) if np.isfinite(v) else None for v in values]


def _by_kind(labels, scores, kinds):
    out = {}
    for kind in sorted({k for k, label in zip(kinds, labels, strict=True) if label}):
        rows = [k for k in range(len(labels)) if not labels[k] or kinds[k] == kind]
        out[kind] = metrics.auroc(labels[rows], scores[rows])
    return out


def pixel_auroc(anomaly_map, mask):
    """AUROC of one map ``(h, w)``, resized, against the file of its mask; None without mask or where it is all one."""
    if mask is None or anomaly_map is None:
        return None
    mask = read_mask(mask)
    if not mask.any() or mask.all():
        return None
    resized = cv2.resize(anomaly_map, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return metrics.auroc(mask.ravel().astype(int), resized.ravel())
