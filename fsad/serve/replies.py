"""What the service answers, from predictions and detectors."""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from fsad import inputs
from fsad.explain import overlay
from fsad.images import ImageError, shrunk
from fsad.serve import schemas
from fsad.serve.worker import described

OVERLAY = 1024  # pixels a side, at most, of the overlay's image


def listed(names, decoded, detector, predictions, changes, images):
    """What is said of each image, in order."""
    scored = zip(predictions, changes, strict=True)
    return [
        {"name": title, "error": image.reason}
        if isinstance(image, ImageError)
        else {"name": title, **described(detector, *next(scored), images)}
        for title, image in zip(names, decoded, strict=True)
    ]


def learned(worker, titles, contents, roles, by):
    given = {"good": [], "defect": []}
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, content, role) in enumerate(zip(titles, contents, roles, strict=True)):
            path = Path(folder, f"{number}{Path(title).suffix[:8]}")
            path.write_bytes(content)
            given[role].append(inputs.Sample(path, title=title))
        return worker.learn(**given, by=by)


def wants_png(request):
    return request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip() == "image/png"


def outlined(detector, prediction):
    """PNG of an image with its regions outlined, beside its map."""
    image = shrunk(prediction.image, OVERLAY)
    longest = max(image.shape[:2])
    shrink = longest / max(prediction.image.shape[:2])
    drawn, thick = image.copy(), max(1, round(longest / 400))
    for region in prediction.regions or ():
        outline = [np.round(np.array(region.contour) * shrink).astype(np.int32)]
        for color, wide in (((255, 255, 255), 3 * thick), ((179, 38, 30), thick)):
            cv2.polylines(drawn, outline, True, color, wide, cv2.LINE_AA)
    beside = np.hstack([drawn, overlay.blend(image, detector.display_map(prediction), top=1)])
    return cv2.imencode(".png", cv2.cvtColor(beside, cv2.COLOR_RGB2BGR))[1].tobytes()


def info(name, worker, learn):
    detector, roles = worker.detector, [record["role"] for record in worker.detector.fitted.training]
    threshold = detector.threshold
    return schemas.Info(
        name=name,
        recipe=detector.recipe,
        threshold=threshold.value,
        unsure=list(threshold.unsure) if threshold.unsure else None,
        how=threshold.how,
        good=roles.count("good"),
        defective=roles.count("defective"),
        learned=len(detector.fitted.journal),
        scored=worker.monitor.seen,
        drift=worker.monitor.sentences(),
        can_learn=learn,
    )
