"""A Detector -> SavedModel, ONNX, OpenVINO or LiteRT, complete: preprocessing, references and threshold are inside.

Every format takes ``pictures``, uint8 RGB ``(n, side, side, 3)``, and gives ``score`` ``(n,)``, ``confidence``
``(n,)``, ``defective`` ``(n,)`` (1 if the score is above the threshold) and, where the recipe compares
patches, ``map`` ``(n, h, w)``. Resizing to ``side`` stays outside, except in the SavedModel's endpoint for
encoded pictures. An export is compared with the detector on pictures as it is written, and removed again if
its scores differ by more than `TOLERANCE`.
"""

import importlib
from pathlib import Path

import numpy as np

from fsad import images, pictures

TOLERANCE = 1e-4  # largest difference of a score that passes
MOST = 200  # pictures an export is checked on
FORMATS = ("saved_model", "onnx", "openvino", "litert")


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
        A dict: ``path``; ``checked_on``, what was compared, and ``pictures``, how many; ``largest_difference`` of
        a score; ``verdicts_changed``.

    Raises:
        ExportError: scores differ, or a package is missing.
    """
    what, checked = pictures_of(detector, given)
    score = write(detector, format, path, checked, int8)
    expected = np.concatenate([detector.judge(p[None])["score"].numpy() for p in checked])
    received = np.concatenate([np.asarray(score(p[None])).reshape(-1) for p in checked])
    difference = float(np.abs(received - expected).max())
    if not int8 and not difference <= TOLERANCE:
        _writer(format).remove(Path(path))
        raise ExportError(
            f"{path}: expected scores within {TOLERANCE:g} of the detector's on {len(checked)} pictures. "
            f"Received: {difference:.2g} apart. Removed."
        )
    cut = detector.threshold.value
    changed = int(((received > cut) != (expected > cut)).sum())
    return {"path": str(path), "checked_on": what, "pictures": len(checked), "largest_difference": difference,
            "verdicts_changed": changed}  # fmt: skip


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
    representative = pictures_of(detector, None)[1] if int8 and representative is None else representative
    try:
        return _writer(format).write(detector, Path(path), **({"representative": representative} if int8 else {}))
    except ImportError as error:
        missing = f"{format} needs a package that is not installed ({error}): pip install 'fsad[export]'"
        raise ExportError(missing) from None


def _writer(format):
    return importlib.import_module(f"fsad.export.{format}")


def pictures_of(detector, given=None):
    """``(what, uint8 (n, side, side, 3))`` to check on, at most `MOST`."""
    if given is None:
        what = "training pictures"
        paths = [Path(record["name"]) for record in detector.fitted.training]
        found = pictures.find([path for path in paths if path.is_file()])
    else:
        what, found = "pictures given", pictures.find(given)
    rows = np.unique(np.linspace(0, len(found) - 1, min(len(found), MOST)).astype(int)) if found else []
    if len(rows):
        return what, np.stack([images.resize(found[k].read(), detector.side) for k in rows])
    small = [images.resize(p, detector.side) for p in detector.fitted.thumbnails]
    return "small copies of the references, since the training pictures are gone", np.stack(small)
