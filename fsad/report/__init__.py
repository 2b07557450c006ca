"""Predictions -> one HTML file that needs nothing else: no network, no server, no fonts.

The page carries scores, not verdicts: the threshold can be moved in it, and everything follows.
"""

import base64
import datetime
import hashlib
import json
import math
import os
import shlex
import urllib.parse
from pathlib import Path

import cv2
import jinja2
import numpy as np

from fsad import answers, drift, evaluation
from fsad.explain import overlay
from fsad.files import atomic_file
from fsad.images import ImageError, read_mask, shrunk

MANY = 200  # images; with more of them smaller copies are embedded


def write(path, detector, predictions, count, title="", threshold=None, monitor=None):
    """Writes a report.

    Args:
        path: of the ``.html`` file; it appears whole or not at all.
        detector: the fitted `fsad.Detector` that made the predictions.
        predictions: iterable of `fsad.Prediction` with details (`fsad.Detector.stream`); consumed one by one, so that
            no more than its small copy of each image is held.
        count: how many to expect; decides on the size of the copies.
        title: what was inspected.
        threshold: the page starts with; the detector's own if None.
        monitor: a `fsad.drift.Monitor`, which watches the predictions as they come; one of the detector's if None.

    Returns:
        The predictions without their pixels, a list.
    """
    side = 384 if count <= MANY else 192
    items, bare, labelled, series = [], [], [], []
    monitor = monitor or drift.monitor_of(detector.fitted)
    for prediction in predictions:
        if prediction.condition is not None:
            monitor.see(prediction)
            series.append([float(f"{value:.4g}") for value in (*prediction.condition, prediction.score)])
        items.append(_item(detector, prediction, side, path))
        bare.append(prediction.bare())
        if prediction.sample.label is not None and not prediction.error:
            labelled.append((items[-1], prediction.sample, prediction.signature))
    if labelled:
        seen, _ = evaluation.seen_parts(detector, [s for _, s, _ in labelled], [s for *_, s in labelled])
        for (item, *_), is_seen in zip(labelled, seen, strict=True):
            item["used"] = bool(is_seen)
    items.sort(key=lambda item: -item.get("score", -math.inf))
    data = {
        "items": items,
        "threshold": detector.threshold.value if threshold is None else float(threshold),
        "unsure": detector.threshold.unsure if threshold is None else None,
        "scale": detector.threshold.scale,
        "command": f"fsad threshold {shlex.quote(str(detector.folder or 'DETECTOR'))} --value=",
        "drift": {
            "sentences": monitor.sentences(),
            "names": [*drift.NAMES, "score"],
            "mean": [*monitor.mean.tolist(), float(np.mean(detector.threshold.good))],
            "deviation": [*monitor.deviation.tolist(), float(np.std(detector.threshold.good))],
            "series": series,
        },
        "references": [_jpeg(image) for image in detector.fitted.thumbnails],
    }
    environment = jinja2.Environment(loader=jinja2.PackageLoader("fsad.report", ""), autoescape=True)
    style, script = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    page = environment.get_template("page.html").render(
        policy=policy(style, script, "img-src data:"),
        style=style,
        script=script,
        title=title,
        detector=detector,
        written=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        how=detector.threshold.how if threshold is None else "set manually",
        warnings=detector.fitted.warnings,
        # "<" would let a file name close the script element.
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    )
    with atomic_file(path) as file:
        file.write(page.encode("utf-8", errors="backslashreplace"))
    return bare


def policy(style, script, *sources):
    """A Content-Security-Policy by which a page has these two texts, its only ones, and what ``sources`` name."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    allowed = [f"{kind}-src 'sha256-{digest}'" for kind, digest in zip(("style", "script"), digests, strict=True)]
    return "; ".join(["default-src 'none'", "base-uri 'none'", "form-action 'none'", *sources, *allowed])


def _item(detector, prediction, side, page):
    item = {"name": prediction.name}
    if prediction.sample.path is not None:  # as seen from the page, wherever that is opened
        there, here = prediction.sample.path.absolute(), Path(page).absolute().parent
        item["href"] = urllib.parse.quote(os.path.relpath(there, here).replace(os.sep, "/"), errors="surrogateescape")
    if prediction.sample.label is not None:
        item |= {"label": prediction.sample.label, "kind": prediction.sample.kind}
    if prediction.error:
        return item | {"error": prediction.error}
    height, width = prediction.image.shape[:2]
    item |= {"score": prediction.score, "nearest": prediction.nearest, **small_images(detector, prediction, side)}
    if prediction.answer is not None:
        answer, fitted = prediction.answer, detector.fitted
        item["answer"] = {
            "place": _thousandths(answer.place),
            "reference": answer.reference,
            "at": _thousandths(answers.as_taken(answer, fitted.views, fitted.size)),
        }
    if prediction.aligned is False:
        item["unaligned"] = True
    item["regions"] = [_outline(region.contour, width, height) for region in prediction.regions or ()]
    item["known"] = _known(prediction.sample.mask)
    return item


def small_images(detector, prediction, side):
    """Data URLs of a prediction with details, for a page: ``image``, at most ``side`` pixels a side, and ``map``, where
    there is one, transparent where nothing is unusual."""
    urls = {"image": _jpeg(shrunk(prediction.image, side))}
    if prediction.anomaly_map is not None:
        urls["map"] = _layer(detector.display_map(prediction))
    return urls


def _outline(points, width, height):
    """Points of an image in thousandths of its sides, flat."""
    return _thousandths(np.asarray(points, float) / (width, height))


def _thousandths(shares):
    return np.clip(np.round(1000 * np.asarray(shares)), 0, 1000).astype(int).ravel().tolist()


def _known(path):
    """Outlines of a known defect, by the file of its mask; none if that cannot be read."""
    if path is None:
        return []
    try:
        mask = read_mask(path).astype(np.uint8)
    except ImageError:
        return []
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [_outline(outline.reshape(-1, 2) + 0.5, mask.shape[1], mask.shape[0]) for outline in outlines]


def _layer(anomaly_map, side=48):
    """A map in [0, 1] as a small transparent PNG; the page stretches it over the image."""
    if max(anomaly_map.shape) > side:
        anomaly_map = cv2.resize(anomaly_map.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    opacity = np.round(140 * anomaly_map).astype(np.uint8)
    return _encoded(".png", np.dstack([overlay.colored(anomaly_map)[..., ::-1], opacity]), "png")


def _jpeg(image):
    return _encoded(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), "jpeg", [cv2.IMWRITE_JPEG_QUALITY, 82])


def _encoded(extension, image, kind, options=()):
    _, data = cv2.imencode(extension, image, list(options))
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()
