"""How well a detector does on labelled pictures it has not seen."""

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from fsad import duplicates, images, metrics, pictures, storage

KNOWN, UNLABELLED = EXPECTED = ("shows a part the detector was fitted with", "no label")
NAMES = ("auroc", "f1", "precision", "recall", "accuracy")


def evaluate(detector, given, progress=True):
    """Image metrics with 95 % intervals; defective is the positive class, rates are at the detector's threshold.

    Pictures of a part that the detector was fitted with, found by near-duplicate signatures
    (`fsad.duplicates`), are left out: a defect learned by heart proves nothing. Intervals come from a
    bootstrap over parts (`fsad.metrics.interval`).

    Args:
        detector: a fitted `fsad.Detector`.
        given: a folder in a layout of `fsad.datasets` that tells good from defective.
        progress: show a bar on standard error.

    Returns:
        A dict of plain values: each of `NAMES` and ``intervals`` of each; ``threshold``, ``confusion``,
        ``pictures`` (counts by kind), ``parts``; ``auroc_by_kind``; ``pixel_auroc``, the mean over the defective
        pictures with a mask (None without); ``left_out``: ``[name, reason]`` of every picture not used.

    Raises:
        ValueError: no labels, or not both good and defective pictures that can be used.
    """
    found = pictures.find(given)
    if all(p.label is None for p in found):
        raise ValueError(
            f"{given}: expected a folder that tells good from defective (good/ and defect/, or as MVTec AD). "
            f"Received: no label for {found[0].name}"
        )
    kept, signatures, areas = [], [], []
    left_out = [[p.name, UNLABELLED] for p in found if p.label is None]
    stream = (f for f in detector.stream(given, maps=True) if f.label is not None)
    for f in tqdm(stream, total=len(found), desc="scoring", unit="picture", disable=not progress, leave=False):
        if f.error:
            left_out.append([f.name, f.error])
            continue
        kept.append(f.bare())
        signatures.append(duplicates.signature(f.picture))
        try:
            areas.append(pixel_auroc(f.map, f.mask))
        except images.ImageError as error:
            left_out.append([str(f.mask), f"mask: {error.reason}"])
            areas.append(None)
    known, groups = known_parts(detector, kept, signatures)
    left_out += [[f.name, KNOWN] for f, k in zip(kept, known, strict=True) if k]
    rows = np.flatnonzero(~known)
    labels, scores = np.array([kept[k].label for k in rows], int), np.array([kept[k].score for k in rows])
    if len(set(labels.tolist())) < 2:
        raise ValueError(
            f"{given}: expected good and defective pictures of parts the detector does not know. "
            f"Received: {(labels == 0).sum()} good and {(labels == 1).sum()} defective; {len(left_out)} left out"
        )
    cut = detector.threshold.value
    draw = {"labels": labels, "scores": scores, "groups": groups[rows], "threshold": cut}
    bounds = metrics.interval(statistics, [draw], np.random.default_rng(0))
    kinds = [kept[k].kind for k in rows]
    measured = [areas[k] for k in rows if areas[k] is not None]
    return {
        **dict(zip(NAMES, _plain(statistics(labels, scores, cut)), strict=True)),
        "intervals": {name: _plain(pair) for name, pair in zip(NAMES, bounds, strict=True)},
        "threshold": cut,
        "confusion": metrics.confusion(labels, scores > cut),
        "pictures": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "parts": len(set(draw["groups"].tolist())),
        "auroc_by_kind": _by_kind(labels, scores, kinds),
        "pixel_auroc": float(np.mean(measured)) if measured else None,
        "left_out": left_out,
    }


def known_parts(detector, findings, signatures):
    """Which pictures show a part the detector was fitted with, by their bytes or as near-duplicates.

    Args:
        detector: a fitted `fsad.Detector`.
        findings: `fsad.pictures.Finding` of the pictures.
        signatures: theirs, as `fsad.duplicates.signature` makes them.

    Returns:
        ``(known, groups)``: bool ``(n,)``, and the group of each picture among these, int ``(n,)``.
    """
    seen = detector.fitted.signatures
    groups = duplicates.groups([*seen, *signatures], known=[None] * len(seen) + [f.part for f in findings])
    trained = {record["sha256"] for record in detector.fitted.training} - {None}
    paths = [Path(f.name) for f in findings]
    same = np.array([path.is_file() and storage.sha256(path) in trained for path in paths], bool)
    groups, taken = groups[len(seen) :], set(groups[: len(seen)])
    return same | np.isin(groups, list(taken | set(groups[same]))), groups


def statistics(labels, scores, threshold):
    """`NAMES` of one set of scores, as `fsad.metrics.interval` takes them; NaN where one is not defined."""
    rates = metrics.rates(metrics.confusion(labels, scores > threshold))
    return [metrics.auroc(labels, scores), *(rates[name] for name in NAMES[1:])]


def _plain(values):
    """Floats, with None for NaN, which JSON does not know."""
    return [float(v) if np.isfinite(v) else None for v in values]


def _by_kind(labels, scores, kinds):
    out = {}
    for kind in sorted({k for k, label in zip(kinds, labels, strict=True) if label}):
        rows = [k for k in range(len(labels)) if not labels[k] or kinds[k] == kind]
        out[kind] = metrics.auroc(labels[rows], scores[rows])
    return out


def pixel_auroc(heat, mask):
    """AUROC of one map ``(h, w)``, resized, against the file of its mask; None without mask or where it is all one."""
    if mask is None or heat is None:
        return None
    mask = images.read_mask(mask)
    if not mask.any() or mask.all():
        return None
    heat = cv2.resize(heat, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return metrics.auroc(mask.ravel().astype(int), heat.ravel())
