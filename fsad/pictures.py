"""What a user points at -> pictures: files, folders, globs or arrays, with labels where the folder tells them; and
what a detector finds about each."""

import dataclasses
import glob
from pathlib import Path

import numpy as np

from fsad import datasets, images


@dataclasses.dataclass(frozen=True)
class Picture:
    """``name``: the path, or the number of an array; ``source``: a ``Path`` or uint8 RGB ``(H, W, 3)``;
    ``label``: 0 good, 1 defective, None unknown; ``kind``: defect type; ``mask``, ``part``: as in
    `fsad.datasets.Sample`."""

    name: str
    source: Path | np.ndarray
    label: int | None = None
    kind: str | None = None
    mask: Path | None = None
    part: str | None = None

    def read(self):
        """uint8 RGB ``(H, W, 3)``; raises `fsad.images.ImageError`."""
        return images.read(self.source) if isinstance(self.source, Path) else self.source


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is found about one picture.

    ``score``: dissimilarity, higher is more anomalous; ``verdict``: ``"good"`` or ``"defective"``;
    ``confidence`` of the verdict in [0.5, 1]; ``nearest``: number of the nearest reference;
    ``map``: float32 ``(h, w)``, >= 0, where the picture differs (None if not asked for); ``error``: why
    the picture could not be judged, and then all of these are None. ``label``, ``kind``, ``mask`` and
    ``part`` are what the folder told. ``picture``: uint8 RGB as read, while streaming.
    """

    name: str
    score: float | None = None
    verdict: str | None = None
    confidence: float | None = None
    nearest: int | None = None
    map: np.ndarray | None = dataclasses.field(default=None, repr=False)
    error: str | None = None
    label: int | None = None
    kind: str | None = None
    mask: Path | None = None
    part: str | None = None
    picture: np.ndarray | None = dataclasses.field(default=None, repr=False)

    def bare(self):
        """The same without map and pixels, to be kept by the thousand."""
        return dataclasses.replace(self, map=None, picture=None)


def find(pictures):
    """Lists pictures without reading them.

    Args:
        pictures: a path, folder or glob; an array, uint8 RGB ``(H, W, 3)`` or gray ``(H, W)``, or a stack
            ``(n, H, W, 3)``; or several of these in a list. A folder gives every picture file below it but
            masks (in a folder named so, or a ``.png`` beside a ``.jpg`` of the same name), with labels where it has
            a layout of `fsad.datasets`. Hidden files and files that do not end like a picture are passed over,
            unless named.

    Returns:
        A list of `Picture`. A named file that is missing is in it: reading it says so.

    Raises:
        FileNotFoundError: a folder or glob without any picture.
        ValueError: an array of another shape or type.
    """
    found = []
    for given in pictures if isinstance(pictures, (list, tuple)) else [pictures]:
        found += _arrays(given, len(found)) if isinstance(given, np.ndarray) else _files(given)
    return found


def _files(given):
    if not isinstance(given, (str, Path)):
        raise ValueError(f"Expected a path, folder, glob or array. Received: {type(given).__name__}")
    path = Path(given)
    if path.is_dir():
        found = _folder(path)
    elif glob.has_magic(str(given)) and not path.exists():
        matched = sorted(glob.glob(str(given), recursive=True))
        found = [Picture(p, Path(p)) for p in matched if not Path(p).is_dir()]
    else:
        return [Picture(str(given), path)]
    if not found:
        raise FileNotFoundError(f"{given}: expected pictures ({', '.join(images.SUFFIXES)}). Received: none")
    return found


def _folder(folder):
    try:
        dataset = datasets.load(folder)
    except ValueError:  # no layout with labels
        dataset = None
    told, passed_over = {}, set()
    if dataset is not None and dataset.layout != "classes":
        told = {s.path: s for s in dataset.samples}
        passed_over = {s.mask for s in dataset.samples} | {path for path, _ in dataset.skipped}
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in images.SUFFIXES and not p.is_dir())
    photographs = {p.with_suffix("") for p in paths if p.suffix.lower() in (".jpg", ".jpeg")}
    passed_over |= {p for p in paths if p.suffix.lower() == ".png" and p.with_suffix("") in photographs}
    found = []
    for path in paths:
        names = path.relative_to(folder).parts
        masks = {name.lower() for name in names[:-1]} & set(datasets.MASKS)
        if path in told:
            s = told[path]
            found.append(Picture(str(path), path, s.label, s.kind, s.mask, s.part))
        elif not masks and path not in passed_over and not any(name.startswith(".") for name in names):
            found.append(Picture(str(path), path))
    return found


def _arrays(array, number):
    if array.dtype != np.uint8:
        raise ValueError(f"Expected a uint8 picture, values 0 to 255. Received: {array.dtype}")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, -1)
    stack = array[None] if array.ndim == 3 else array
    if stack.ndim != 4 or stack.shape[-1] != 3 or min(stack.shape[1:3]) < images.MIN_SIDE:
        raise ValueError(f"Expected RGB (H, W, 3), gray (H, W) or RGB (n, H, W, 3). Received: {array.shape}")
    return [Picture(f"array {number + k}", picture) for k, picture in enumerate(stack)]
