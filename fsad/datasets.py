"""A folder of pictures -> samples.

Layouts (found from the folder's own names by `load`):

- MVTec AD: ``train/good/*``, ``test/<good|defect>/*``, ``ground_truth/<defect>/NNN_mask.png``
- marble: ``train|test/<good|crack|dot|joint>/*``
- magnetic tile: ``MT_Free/Imgs/*.jpg``, ``MT_<Defect>/Imgs/*.jpg`` with a ``.png`` mask beside each
- good / defect: ``good/*`` and ``defect/*`` or ``defect/<type>/*``
- classes: ``<class>/*``, two or more
"""

import dataclasses
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fsad import duplicates, images

GOOD = ("good", "ok", "normal")
DEFECT = ("defect", "defects", "defective", "bad", "ng", "anomaly", "abnormal")


@dataclasses.dataclass(frozen=True)
class Sample:
    """One picture. ``label``: 0 good, 1 defective (class number in a class folder); ``kind``: ``"good"``,
    the defect type, or the class; ``group``: equal for near-duplicates once `with_groups` has run."""

    path: Path
    label: int
    kind: str
    mask: Path | None = None
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
        """One line for a log: layout, counts, skipped files."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.counts().items())
        line = f"{self.folder}: {self.layout} layout, {len(self.samples)} pictures ({kinds})"
        if self.skipped:
            path, reason = self.skipped[0]
            line += f"; {len(self.skipped)} files skipped, first {Path(path).name}: {reason}"
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
    names = {p.name for p in folder.iterdir() if p.is_dir()}
    lower = {n.lower() for n in names}
    if "MT_Free" in names:
        lister = magnetic_tile
    elif {"train", "test"} <= names:
        trained_on = {p.name.lower() for p in (folder / "train").iterdir() if p.is_dir()}
        lister = mvtec if trained_on == {"good"} else marble
    elif lower & set(GOOD) and lower & set(DEFECT):
        lister = good_defect
    elif len([n for n in names if not n.startswith(".")]) >= 2:
        lister = classes
    else:
        raise ValueError(
            f"{folder}: expected train/ and test/, good/ and defect/, MT_Free/ or one folder a class. "
            f"Received: folders {sorted(names) or 'none'}"
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


def mvtec(folder):
    """MVTec AD (Bergmann et al. 2019), one category. Train and test are one pool here; splits are drawn."""
    samples, skipped = [], []
    for place in (*_folders(folder / "train"), *_folders(folder / "test")):
        for path in _pictures(place, skipped):
            mask = folder / "ground_truth" / place.name / f"{path.stem}_mask.png"
            good = place.name == "good"
            samples.append(Sample(path, int(not good), place.name, mask if not good and mask.exists() else None))
    return Dataset(Path(folder), "MVTec AD", tuple(samples), tuple(skipped))


def marble(folder):
    """Marble Surface Anomaly Detection 2: both parts hold good and defective pictures; no masks."""
    samples, skipped = [], []
    for place in (*_folders(folder / "train"), *_folders(folder / "test")):
        for path in _pictures(place, skipped):
            samples.append(Sample(path, int(place.name != "good"), place.name))
    return Dataset(Path(folder), "marble", tuple(samples), tuple(skipped))


def magnetic_tile(folder):
    """Magnetic Tile Defects (Huang et al. 2018) as published: ``.jpg`` pictures, ``.png`` masks."""
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
    return Dataset(Path(folder), "magnetic tile", tuple(samples), tuple(skipped))


def good_defect(folder):
    """``good/`` beside ``defect/`` (other usual names too); sub-folders of ``defect/`` are defect types."""
    samples, skipped = [], []
    for place in _folders(folder):
        name = place.name.lower()
        if name in GOOD:
            samples += [Sample(p, 0, "good") for p in _pictures(place, skipped, deep=True)]
        elif name in DEFECT:
            for path in _pictures(place, skipped, deep=True):
                inner = path.relative_to(place).parts[:-1]
                samples.append(Sample(path, 1, inner[0] if inner else "defect"))
        else:
            skipped.append((place, f"expected a folder named {GOOD[0]} or {DEFECT[0]}"))
    return Dataset(Path(folder), "good/defect", tuple(samples), tuple(skipped))


def classes(folder):
    """One folder a class; labels are class numbers in order of name."""
    samples, skipped = [], []
    for label, place in enumerate(_folders(folder)):
        samples += [Sample(p, label, place.name) for p in _pictures(place, skipped, deep=True)]
    return Dataset(Path(folder), "classes", tuple(samples), tuple(skipped))


def with_groups(dataset, progress=None):
    """Reads every picture once and marks near-duplicates (`fsad.duplicates`) with one group number.

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
    groups = duplicates.groups([f for _, f in kept])
    samples = tuple(dataclasses.replace(s, group=int(g)) for (s, _), g in zip(kept, groups, strict=True))
    return dataclasses.replace(dataset, samples=samples, skipped=dataset.skipped + tuple(bad))
