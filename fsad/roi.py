"""Region of interest: which part of an image counts. Scores, thresholds, maps and regions keep to it.

A user gives a file: a mask, an image that is white where it counts; or JSON, ``{"box": [left, top, width, height]}`` or
``{"polygon": [[x, y], ...]}`` in pixels, of the good images unless ``"size": [width, height]`` says otherwise. A saved
detector holds it as a dict of run lengths, at most `SIDE` pixels a side.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from fsad.images import read_mask

SIDE = 256  # pixels
KEYS = ("box", "polygon")


def read(path, size):
    """The mask in a file, bool ``(h, w)``.

    Args:
        path: of the file.
        size: ``(width, height)`` of the images that its pixels are of.

    Raises:
        FileNotFoundError, ValueError, fsad.images.ImageError: no such file, another content, or nothing that counts.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a mask or a JSON file. Received: no such file")
    mask = _drawn(path, size) if path.suffix.lower() == ".json" else read_mask(path)
    if not mask.any():
        raise ValueError(f"{path}: expected a region of interest of at least one pixel. Received: none")
    return mask


def _drawn(path, size):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        (shape,) = (key for key in KEYS if key in content)
        width, height = map(int, content.get("size", size))
        values = np.asarray(content[shape], float)
        if shape == "box":
            left, top, across, down = values
            values = np.array([[left, top], [left + across, top], [left + across, top + down], [left, top + down]])
        if values.ndim != 2 or values.shape[1] != 2 or len(values) < 3 or not np.isfinite(values).all():
            raise ValueError("points that are no polygon")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f'{path}: expected {{"box": [left, top, width, height]}} or {{"polygon": [[x, y], ...]}}, in pixels. '
            f"Received: {error}"
        ) from None
    mask = np.zeros((height, width), np.uint8)
    # Pixels whose middle is inside: a box of width 2 has 2 of them.
    cv2.fillPoly(mask, [np.round(values - [0.5, 0.5] if shape == "polygon" else _inner(values)).astype(np.int32)], 1)
    return mask > 0


def _inner(corners):
    """Of a box, as `cv2.fillPoly` includes its border."""
    return np.array(corners) - np.array([[0, 0], [1, 0], [1, 1], [0, 1]])


def encode(mask):
    """A mask as JSON values, no larger than `SIDE`: ``size`` ``[h, w]`` and ``runs``, outside first, row by row."""
    mask = _resized(mask, [max(1, round(length * min(1, SIDE / max(mask.shape)))) for length in mask.shape])
    flat = np.concatenate([[False], mask.ravel(), [not mask.ravel()[-1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": list(mask.shape), "runs": np.diff(np.concatenate([[0], edges])).tolist()}


def decode(values):
    """The reverse of `encode`; raises ValueError for what is not of it."""
    try:
        height, width = (int(value) for value in values["size"])
        runs = [int(run) for run in values["runs"]]
        if not 0 < max(height, width) <= SIDE or min(height, width, *runs, 1) < 0 or sum(runs) != height * width:
            raise ValueError("run lengths that do not add up")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"Expected a region of interest as run lengths. Received: {error}") from None
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)


def cells(mask, shape):
    """Which cells of a grid ``shape`` count: those that lie in the mask by half or more; bool.

    Raises:
        ValueError: none does.
    """
    inside = _resized(mask, shape)
    if not inside.any():
        raise ValueError(
            f"Expected a region of interest of at least one cell of {shape[1]} x {shape[0]}. Received: a smaller one"
        )
    return inside


def _resized(mask, shape):
    size = (int(shape[1]), int(shape[0]))
    return cv2.resize(np.asarray(mask, np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
