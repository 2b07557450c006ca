"""A folder of pictures -> samples.

Layouts (found from the folder's own names by `load`):

- MVTec AD: ``train/good/*``, ``test/<good|defect>/*``, ``ground_truth/<defect>/NNN_mask.png``
- marble: ``train|test/<good|crack|dot|joint>/*``
- magnetic tile: ``MT_Free/Imgs/*.jpg``, ``MT_<Defect>/Imgs/*.jpg`` with a ``.png`` mask beside each
- good / defect: ``good/*`` and ``defect/*``, ``defect/<type>/*`` or ``<type>/*``
- classes: ``<class>/*``, two or more, and ``masks/<class>/NNN_mask.png`` if there are masks
"""

import dataclasses
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fsad import duplicates, images

GOOD = ("good", "ok", "normal")
DEFECT = ("defect", "defects", "defective", "bad", "ng", "anomaly", "abnormal")
MASKS = ("mask", "masks", "ground_truth", "label", "labels")


@dataclasses.dataclass(frozen=True)
class Sample:
    """One picture. ``label``: 0 good, 1 defective (class number in a class folder); ``kind``: ``"good"``,
    the defect type, or the class; ``part``: the physical part, where the file names tell it; ``group``:
    equal for pictures of one part and near-duplicates, once `with_groups` has run."""

    path: Path
    label: int
    kind: str
    mask: Path | None = None
    part: str | None = None
    group: int = -1


@dataclasses.dataclass(frozen=True)
class Dataset:
    """``samples``, and what was left out: ``skipped`` is a tuple of (path, reason)."""

    folder: Path
    layout: str
    samples: tuple
    skipped: tuple = ()

    def counts(self):
        """Pictures of each kind, in order of name."""
        return dict(sorted(Counter(s.kind for s in self.samples).items()))

    def summary(self):
        """One line: name, counts, distinct parts if they are known, skipped files."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.counts().items())
        groups = {s.group for s in self.samples}
        parts = "" if -1 in groups else f" of {len(groups)} distinct parts"
        line = (
            f"{Path(self.folder).resolve().name}: {len(self.samples)} pictures{parts} ({kinds}), {self.layout} layout"
        )
        if self.skipped:
            path, reason = self.skipped[0]
            line += f", {len(self.skipped)} left out (first {Path(path).relative_to(self.folder).as_posix()}: {reason})"
        return line


def load(folder):
    """Lists a folder in whichever of the known layouts it has.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no layout fits, or no picture is in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of pictures. Received: nothing there")
    names = [p.name for p in _folders(folder)]
    if "MT_Free" in names:
        lister = magnetic_tile
    elif {"train", "test"} <= set(names):
        lister = mvtec if all(_is_good(p.name) for p in _folders(folder / "train")) else marble
    elif len(names) >= 2 and any(map(_is_good, names)):
        lister = good_defect
    elif nested := [
        n for n in names if n.lower() not in MASKS and not any(_pictures(folder / n, [])) and _folders(folder / n)
    ]:
        raise ValueError(
            f"{folder}: expected one data set. Received: a folder of several; choose one, such as {nested[0]}"
        )
    elif len(names) >= 2:
        lister = classes
    else:
        raise ValueError(
            f"{folder}: expected train/ and test/, good/ and defect/, MT_Free/ or one folder a class. "
            f"Received: folders {names or 'none'}"
        )
    dataset = lister(folder)
    if not dataset.samples:
        raise ValueError(
            f"{folder}: expected pictures in the {dataset.layout} layout. "
            f"Received: none, and {len(dataset.skipped)} other files"
        )
    return dataset


def _pictures(folder, skipped, deep=False):
    """Picture files of a folder in order of name; others go to ``skipped`` (hidden files silently)."""
    found = sorted(folder.rglob("*") if deep else folder.iterdir()) if folder.is_dir() else []
    for path in found:
        if path.is_dir() or path.name.startswith(".") or path.name == "Thumbs.db":
            continue
        if path.suffix.lower() in images.SUFFIXES:
            yield path
        else:
            skipped.append((path, f"not a picture by its ending {path.suffix or '(none)'}"))


def _folders(folder):
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_good(name):
    return name.lower() in GOOD


def _kind(place):
    """``(label, kind)`` of a folder named after what it shows."""
    return (0, "good") if _is_good(place.name) else (1, place.name)


def mvtec(folder):
    """MVTec AD (Bergmann et al. 2019), one category. Train and test are one pool here; splits are drawn."""
    samples, skipped = [], []
    for place in (*_folders(folder / "train"), *_folders(folder / "test")):
        for path in _pictures(place, skipped):
            mask = folder / "ground_truth" / place.name / f"{path.stem}_mask.png"
            label, kind = _kind(place)
            samples.append(Sample(path, label, kind, mask if label and mask.exists() else None))
    return Dataset(Path(folder), "MVTec AD", tuple(samples), tuple(skipped))


def marble(folder):
    """Marble Surface Anomaly Detection 2: both parts hold good and defective pictures; no masks."""
    samples, skipped = [], []
    for place in (*_folders(folder / "train"), *_folders(folder / "test")):
        for path in _pictures(place, skipped):
            samples.append(Sample(path, *_kind(place)))
    return Dataset(Path(folder), "marble", tuple(samples), tuple(skipped))


def magnetic_tile(folder):
    """Magnetic Tile Defects (Huang et al. 2018) as published: ``.jpg`` pictures, ``.png`` masks.

    A tile was photographed up to seven times under other light, and not always from the same place; the
    file names ``expK_num_ID`` tell which belong together (`_exposures`).
    """
    samples, skipped = [], []
    for place in _folders(folder):
        if not place.name.startswith("MT_"):
            skipped.append((place, "expected folders named MT_<kind>"))
            continue
        kind = place.name.removeprefix("MT_").lower()
        kind = "good" if kind == "free" else kind
        for path in _pictures(place / "Imgs", skipped):
            if path.suffix.lower() == ".png":
                if not path.with_suffix(".jpg").exists():
                    skipped.append((path, "a mask without its .jpg picture"))
                continue
            mask = path.with_suffix(".png")
            samples.append(Sample(path, int(kind != "good"), kind, mask if kind != "good" and mask.exists() else None))
    return Dataset(Path(folder), "magnetic tile", tuple(_exposures(samples)), tuple(skipped))


def _exposures(samples, gap=150):
    """Names the tile of each ``expK_num_ID`` picture.

    Exposure K + 1 of a tile is the one with the next larger ID, a few dozen on, while the next tile
    starts hundreds further. `fsad.duplicates` finds the same for 1074 of 1105 such links; most of the
    others show one tile in two crops.
    """
    named = [re.fullmatch(r"exp(\d+)_num_(\d+)", s.path.stem) for s in samples]
    order = sorted((int(m[2]), int(m[1]), k) for k, m in enumerate(named) if m)
    part = {}
    for position, (number, exposure, k) in enumerate(order):
        part.setdefault(k, samples[k].path.stem)
        for later, next_exposure, j in order[position + 1 :]:
            if later - number > gap:
                break
            if next_exposure == exposure + 1:
                part[j] = part[k]
                break
    return [dataclasses.replace(s, part=part.get(k)) for k, s in enumerate(samples)]


def good_defect(folder):
    """``good/`` beside ``defect/`` (other usual names too), whose sub-folders are defect types, or beside
    one folder a defect type."""
    samples, skipped = [], []
    for place in _folders(folder):
        if place.name.lower() in MASKS:
            skipped.append((place, "masks are read in the MVTec AD layout only"))
            continue
        label, kind = _kind(place)
        for path in _pictures(place, skipped, deep=True):
            inner = path.relative_to(place).parts[:-1]
            if place.name.lower() in DEFECT:
                kind = inner[0] if inner else "defect"
            samples.append(Sample(path, label, kind))
    return Dataset(Path(folder), "good/defect", tuple(samples), tuple(skipped))


def classes(folder):
    """One folder a class; labels are class numbers in order of name.

    Masks are those of ``masks/<class>/<name>_mask.png``. Pictures named ``<place>_<number>_<n>`` with the same
    place and number show one thing (a listing of AirBnB, say), also where they are in different classes.
    """
    samples, skipped = [], []
    for label, place in enumerate(p for p in _folders(folder) if p.name.lower() not in MASKS):
        for path in _pictures(place, skipped, deep=True):
            mask = folder / "masks" / place.name / f"{path.stem}_mask.png"
            one = re.fullmatch(r"(.*[^\W\d_]_\d+)_\d+", path.stem)
            part = one[1] if one else None
            samples.append(Sample(path, label, place.name, mask if mask.exists() else None, part))
    return Dataset(Path(folder), "classes", tuple(samples), tuple(skipped))


def with_groups(dataset, progress=None):
    """Reads every picture once; pictures of one part and near-duplicates (`fsad.duplicates`) get one group number.

    Pictures that cannot be read move to ``skipped`` with their reason.
    """

    def one(sample):
        try:
            return duplicates.signature(images.read(sample.path))
        except images.ImageError as error:
            return error
        finally:
            if progress:
                progress(1)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(one, dataset.samples))
    bad = [(s.path, f.reason) for s, f in zip(dataset.samples, found, strict=True) if isinstance(f, images.ImageError)]
    kept = [(s, f) for s, f in zip(dataset.samples, found, strict=True) if not isinstance(f, images.ImageError)]
    groups = duplicates.groups([f for _, f in kept], known=[s.part for s, _ in kept])
    samples = tuple(dataclasses.replace(s, group=int(g)) for (s, _), g in zip(kept, groups, strict=True))
    return dataclasses.replace(dataset, samples=samples, skipped=dataset.skipped + tuple(bad))
