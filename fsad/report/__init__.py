"""Findings -> one HTML file that needs nothing else: no network, no server, no fonts.

The page carries scores, not verdicts: the threshold can be moved in it, and everything follows.
"""

import base64
import datetime
import json

import cv2
import jinja2
import matplotlib
import numpy as np

from fsad import duplicates, evaluation, storage
from fsad.explain import overlay

MANY = 200  # pictures; with more of them smaller copies are embedded


def write(path, detector, findings, count, title="", threshold=None):
    """Writes a report.

    Args:
        path: of the ``.html`` file; it appears whole or not at all.
        detector: the fitted `fsad.Detector` that made the findings.
        findings: iterable of `fsad.pictures.Finding` with ``map`` and ``picture``; consumed one by one, so that no more
            than its small copy of each picture is held.
        count: how many to expect; decides on the size of the copies.
        title: what was inspected.
        threshold: the page starts with; the detector's own if None.

    Returns:
        The findings without their pixels, a list.
    """
    side = 384 if count <= MANY else 192
    items, kept, labelled = [], [], []
    for finding in findings:
        items.append(_item(detector, finding, side))
        kept.append(finding.bare())
        if finding.label is not None and not finding.error:
            labelled.append((items[-1], kept[-1], duplicates.signature(finding.picture)))
    if labelled:
        used, _ = evaluation.known_parts(detector, [f for _, f, _ in labelled], [s for *_, s in labelled])
        for (item, *_), known in zip(labelled, used, strict=True):
            item["used"] = bool(known)
    items.sort(key=lambda item: -item.get("score", -1))
    data = {
        "items": items,
        "threshold": detector.threshold.value if threshold is None else float(threshold),
        "scale": detector.threshold.scale,
        "references": [_jpeg(picture) for picture in detector.fitted.thumbnails],
    }
    environment = jinja2.Environment(loader=jinja2.PackageLoader("fsad.report", ""), autoescape=True)
    page = environment.get_template("page.html").render(
        title=title,
        detector=detector,
        written=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        how=detector.threshold.how if threshold is None else "given by hand",
        warnings=detector.fitted.warnings,
        # "<" would let a file name close the script element.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )
    storage.write(path, page.encode("utf-8", errors="backslashreplace"))
    return kept


def _item(detector, finding, side):
    item = {"name": finding.name}
    if finding.label is not None:
        item |= {"label": finding.label, "kind": finding.kind}
    if finding.error:
        return item | {"error": finding.error}
    height, width = finding.picture.shape[:2]
    shrink = min(1.0, side / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = cv2.resize(finding.picture, size, interpolation=cv2.INTER_AREA)
    item |= {"score": finding.score, "nearest": finding.nearest, "picture": _jpeg(small)}
    if finding.map is not None:
        item["heat"] = _layer(detector.heat(finding))
    return item


def _layer(heat, side=48):
    """A map in [0, 1] as a small transparent PNG; the page stretches it over the picture."""
    if max(heat.shape) > side:
        heat = cv2.resize(heat.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    rgba = (matplotlib.colormaps[overlay.COLORS](heat) * 255).astype(np.uint8)
    rgba[..., 3] = np.round(140 * heat).astype(np.uint8)
    return _encoded(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA), "png")


def _jpeg(picture):
    return _encoded(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), "jpeg", [cv2.IMWRITE_JPEG_QUALITY, 82])


def _encoded(ending, picture, kind, options=()):
    _, data = cv2.imencode(ending, picture, list(options))
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()
