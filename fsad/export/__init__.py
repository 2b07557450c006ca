"""A Detector -> SavedModel, ONNX, OpenVINO or LiteRT, complete: preprocessing, references and threshold are inside.

Every format takes ``images``, uint8 RGB ``(n, height, width, 3)``, and gives, each ``(n,)``, ``score``, ``confidence``,
``defective`` (1 if the score is above the threshold), ``unsure`` (1 if it lies in the band that the threshold may have)
and, where the recipe compares patches, ``anomaly_map`` ``(n, h, w)``. Resizing to ``side`` stays outside, except in the
SavedModel's endpoint for encoded images. An export is written under a temporary name, compared with the detector on
images, and takes its place only if its scores differ by no more than `TOLERANCE`: an earlier one stays otherwise.
"""

import importlib
import logging
import tempfile
from pathlib import Path

import numpy as np

from fsad import inputs
from fsad.files import FsadError, check_replaceable

log = logging.getLogger(__name__)

TOLERANCE = 1e-3  # largest difference of a score that passes
MAX_CHANGED = 0.1  # largest part of the verdicts that int8 may change
MAX_IMAGES = 200  # an export is checked on
KIND = ("a SavedModel", "saved_model.pb")  # which folder may be replaced by one
FORMATS = ("saved_model", "onnx", "openvino", "litert")


class ExportError(FsadError, RuntimeError):
    """An export that does not score as the detector does, or whose runtime is not installed."""


def export(detector, format, path, given=None, int8=False):
    """Writes an export and checks it.

    Args:
        detector: a fitted `fsad.Detector`.
        format: one of `FORMATS`.
        path: a folder for ``saved_model``, else a file: ``.onnx``, ``.xml`` (with a ``.bin`` beside it), ``.tflite``.
        given: images to check on (`fsad.inputs.find`); the training images that the detector holds if None.
        int8: for ``litert``: 8-bit weights and activations, calibrated on the training images, so that given ones are
            held out. Its scores differ by design: it is refused if more than `MAX_CHANGED` of the verdicts change.

    Returns:
        A dict: ``path``; ``checked_on``, what was compared, and ``images``, how many; ``largest_difference`` of
        a score; ``verdicts_changed``.

    Raises:
        ExportError: scores differ, or a package is missing.
    """
    if detector.fitted.reference is not None:
        log.warning("Exports take images as they lie: align them before (fsad.alignment), or expect higher scores.")
    what, checked = images_of(detector, given)
    what += ", which it was calibrated on" if int8 and given is None else ""
    path = Path(path)
    if format == "saved_model":
        check_replaceable(path, *KIND)
    if format == "openvino" and path.suffix != ".xml":
        raise ValueError(f"{path}: expected a file that ends in .xml. Received: {path.suffix or 'no ending'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name[:100]}-", dir=path.parent) as folder:
        part = Path(folder) / path.name
        score = write(detector, format, part, int8=int8)
        difference, changed = _compared(detector, score, checked)
        if int8 and changed > MAX_CHANGED * len(checked):
            raise ExportError(
                f"{path}: expected int8 to change at most {MAX_CHANGED:.0%} of the verdicts. Received: {changed} of "
                f"{len(checked)} on {what}. Nothing was written."
            )
        if not int8 and not difference <= TOLERANCE:
            raise ExportError(
                f"{path}: expected scores within {TOLERANCE:g} of the detector's on {len(checked)} images. "
                f"Received: a difference of {difference:.2g}. Nothing was written."
            )
        del score  # which may hold the files open
        _writer(format).place(part, path)
    return {"path": str(path), "checked_on": what, "images": len(checked), "largest_difference": difference,
            "verdicts_changed": changed}  # fmt: skip


def _compared(detector, score, checked):
    """``(largest difference of a score, verdicts that change)`` of an export on images."""
    expected = np.concatenate([detector.compare(image[None]).score.numpy() for image in checked])
    received = np.concatenate([np.asarray(score(image[None])).reshape(-1) for image in checked])
    limit = detector.threshold.value
    changed = int(((received > limit) != (expected > limit)).sum())
    return float(np.abs(received - expected).max()), changed


def write(detector, format, path, representative=None, int8=False):
    """Writes an export, unchecked; returns a callable, images ``(1, height, width, 3)`` -> scores by what was written.

    Args:
        detector, format, path, int8: as in `export`.
        representative: uint8 ``(n, height, width, 3)``, the images to calibrate int8 on; the training ones if None.
    """
    if format not in FORMATS:
        raise ValueError(f"Expected a format among {', '.join(FORMATS)}. Received: {format!r}")
    if int8 and format != "litert":
        raise ValueError(f"Expected int8 for litert only. Received: {format}")
    representative = images_of(detector, None)[1] if int8 and representative is None else representative
    try:
        return _writer(format).write(detector, Path(path), **({"representative": representative} if int8 else {}))
    except ImportError as error:
        missing = f"{format} needs a package that is not installed ({error}): pip install 'fsad[export]'"
        raise ExportError(missing) from None


def _writer(format):
    return importlib.import_module(f"fsad.export.{format}")


def images_of(detector, given=None):
    """``(what, uint8 (n, height, width, 3))`` to check on, at most `MAX_IMAGES`; ``given`` as in `export`.

    The detector's own are in its folder, whatever became of their files. Of the given ones those that cannot be read
    are left out, and ``what`` says so; raises ValueError if none can.
    """
    samples = None if given is None else inputs.find(given)
    count = len(detector.fitted.images if samples is None else samples)
    rows = np.unique(np.linspace(0, count - 1, min(count, MAX_IMAGES)).astype(int))
    if samples is None:
        return "training images", detector.fitted.images[rows]
    readings = list(inputs.read_ahead([samples[k] for k in rows], detector.size))
    readable = [reading.resized for reading in readings if not reading.error]
    errors = [f"{reading.sample.name}: {reading.error}" for reading in readings if reading.error]
    if not readable:
        raise ValueError(f"Expected images to check on. Received: none that can be read ({'; '.join(errors[:3])})")
    what = f"given images ({len(errors)} left out, first {errors[0]})" if errors else "given images"
    return what, np.stack(readable)
