"""A Detector -> SavedModel, ONNX, OpenVINO or LiteRT, complete: preprocessing, references and threshold are inside.

Every format takes ``pictures``, uint8 RGB ``(n, side, side, 3)``, and gives ``score`` ``(n,)``, ``confidence``
``(n,)``, ``defective`` ``(n,)`` (1 if the score is above the threshold) and, where the recipe compares
patches, ``map`` ``(n, h, w)``. Resizing to ``side`` stays outside, except in the SavedModel's endpoint for
encoded pictures. An export is compared with the detector on pictures as it is written, and removed again if
its scores differ by more than `TOLERANCE`.
"""

import importlib
import logging
from pathlib import Path

import numpy as np

from fsad import images, pictures

log = logging.getLogger(__name__)

# Largest difference of a score that passes.
TOLERANCE = {"saved_model": 1e-4, "onnx": 1e-4, "openvino": 5e-3, "litert": 1e-4}
FORMATS = tuple(TOLERANCE)


class ExportError(RuntimeError):
    """An export that does not score as the detector does, or whose runtime is not installed."""


def export(detector, format, path, given=None, int8=False):
    """Writes an export and checks it.

    Args:
        detector: a fitted `fsad.Detector`.
        format: one of `FORMATS`.
        path: a folder for ``saved_model``, else a file: ``.onnx``, ``.xml`` (with a ``.bin`` beside it), ``.tflite``.
        given: pictures to calibrate and check on (`fsad.pictures.find`); the detector's training
            pictures, read from where they were, or else small copies of the references, if None.
        int8: for ``litert``: 8-bit weights and activations, calibrated on the pictures. Its scores differ
            by design; the difference is told, not refused.

    Returns:
        A dict: ``path``, ``pictures`` (how many were compared), ``largest_difference`` of a score and
        ``verdicts_changed``.

    Raises:
        ExportError: scores differ, or a package is missing.
    """
    checked = _pictures(detector, given)
    score = write(detector, format, path, checked, int8)
    expected = np.concatenate([detector.judge(p[None])["score"].numpy() for p in checked])
    received = np.concatenate([np.asarray(score(p[None])).reshape(-1) for p in checked])
    difference = float(np.abs(received - expected).max())
    if not int8 and not difference <= TOLERANCE[format]:
        _writer(format).remove(Path(path))
        raise ExportError(
            f"{path}: expected scores within {TOLERANCE[format]:g} of the detector's on {len(checked)} pictures. "
            f"Received: {difference:.2g} apart. Removed."
        )
    cut = detector.threshold.value
    changed = int(((received > cut) != (expected > cut)).sum())
    return {"path": str(path), "pictures": len(checked), "largest_difference": difference, "verdicts_changed": changed}


def write(detector, format, path, representative=None, int8=False):
    """Writes an export, unjudged; returns a callable, pictures ``(1, side, side, 3)`` -> scores by what was written.

    Args:
        detector, format, path, int8: as in `export`.
        representative: uint8 ``(n, side, side, 3)``, the pictures to calibrate int8 on; the training ones if None.
    """
    if format not in FORMATS:
        raise ValueError(f"Expected a format among {', '.join(FORMATS)}. Received: {format!r}")
    if int8 and format != "litert":
        raise ValueError(f"Expected int8 for litert only. Received: {format}")
    representative = _pictures(detector, None) if int8 and representative is None else representative
    try:
        return _writer(format).write(detector, Path(path), **({"representative": representative} if int8 else {}))
    except ImportError as error:
        missing = f"{format} needs a package that is not installed ({error}): pip install 'fsad[export]'"
        raise ExportError(missing) from None


def _writer(format):
    return importlib.import_module(f"fsad.export.{format}")


def _pictures(detector, given):
    """uint8 ``(n, side, side, 3)`` to check on, at most 200."""
    if given is None:
        found = [Path(record["name"]) for record in detector.fitted.training]
        found = [path for path in found if path.is_file()]
        if not found:
            log.warning("The training pictures are not where they were: checked on the small copies of the references")
            return np.stack([images.resize(p, detector.side) for p in detector.fitted.thumbnails])
    else:
        found = pictures.find(given)[:200]
    return images.read_all([getattr(p, "source", p) for p in found], detector.side)
