"""A folder -> samples, by the layout that the names of its folders show:

- MVTec AD: ``train/good/*``, ``test/<good|defect>/*``, ``ground_truth/<defect>/NNN_mask.png``
- marble: ``train|test/<good|crack|dot|joint>/*``
- magnetic tile: ``MT_Free/Imgs/*.jpg``, ``MT_<Defect>/Imgs/*.jpg`` with a ``.png`` mask beside each
- good / defect: ``good/*`` and ``defect/*``, ``defect/<type>/*`` or ``<type>/*``
- classes: ``<class>/*``, two or more

A mask is a file in a folder named so (`MASKS`), as ``<kind>/<name>_mask.png``, or, with magnetic tiles
and in a folder of no layout, the ``.png`` beside a ``.jpg`` of the same name. It is never an image to be scored.
"""

import dataclasses
import os
import re
from pathlib import Path

from fsad.images import SUFFIXES
from fsad.inputs.samples import Sample

GOOD = ("good", "ok", "normal")
DEFECT = ("defect", "defects", "defective", "bad", "ng", "anomaly", "abnormal")
MASKS = ("mask", "masks", "ground_truth", "label", "labels")


def layout_of(folder):
    """Name of the layout that the folders in ``folder`` show; raises ValueError if it is none."""
    names = _folders(folder)
    if "MT_Free" in names:
        return "magnetic tile"
    if {"train", "test"} <= set(names):
        return "MVTec AD" if all(map(_is_good, _folders(folder / "train"))) else "marble"
    if len(names) >= 2 and any(map(_is_good, names)):
        return "good/defect"
    for name in names:
        inner = folder / name
        if (
            name.lower() not in MASKS
            and _folders(inner)
            and not any(p.suffix.lower() in SUFFIXES for p in inner.iterdir())
        ):
            raise ValueError(
                f"{folder}: expected one data set. Received: a folder of several; choose one, such as {name}"
            )
    if len(names) >= 2:
        return "classes"
    raise ValueError(
        f"{folder}: expected train/ and test/, good/ and defect/, MT_Free/ or one folder per class. "
        f"Received: folders {names or 'none'}"
    )


def list_images(folder, layout):
    """``(samples, skipped)`` of every file below a folder; a sample outside of the layout has no label."""
    classes = [name for name in _folders(folder) if name.lower() not in MASKS] if layout == "classes" else []
    paths, other, masks = [], [], set()
    for path in files_below(folder):
        inner = path.relative_to(folder).parts
        if path.suffix.lower() not in SUFFIXES:
            other.append((path, inner))
        elif {name.lower() for name in inner[:-1]} & set(MASKS):
            masks.add(path)
        else:
            paths.append(path)
    if layout in (None, "magnetic tile"):
        photographs = {p.with_suffix("") for p in paths if p.suffix.lower() in (".jpg", ".jpeg")}
        masks |= {p for p in paths if p.suffix.lower() == ".png" and p.with_suffix("") in photographs}
    samples, skipped = [], []
    for path in sorted(set(paths) - masks, key=lambda p: (p.relative_to(folder).parts[0] != "train", p)):
        label, kind = _label(layout, path.relative_to(folder).parts, classes)
        if layout == "magnetic tile" and path.suffix.lower() == ".png":
            skipped.append((path, "a mask without its .jpg image"))
            continue
        mask = None if label == 0 and layout != "classes" else _mask(folder, path, kind, masks)
        samples.append(Sample(path, label, kind, mask, folder=folder))
    for path, inner in sorted(other):
        if _label(layout, inner, classes)[0] is not None:
            skipped.append((path, f"not an image extension: {path.suffix or '(none)'}"))
    if layout == "magnetic tile":
        samples = _exposures(samples)
    elif layout == "classes":
        samples = [dataclasses.replace(s, group=_listing(s.path.stem)) for s in samples]
    return samples, skipped


def _label(layout, inner, classes):
    """``(label, kind)`` of a file by the names on its way below the folder; ``(None, None)`` outside of the layout."""
    if layout in ("MVTec AD", "marble") and len(inner) == 3 and inner[0] in ("train", "test"):
        return (0, "good") if _is_good(inner[1]) else (1, inner[1])
    if layout == "magnetic tile" and len(inner) == 3 and inner[0].startswith("MT_") and inner[1] == "Imgs":
        kind = inner[0].removeprefix("MT_").lower()
        return (0, "good") if kind == "free" else (1, kind)
    if layout == "good/defect" and len(inner) > 1:
        if _is_good(inner[0]):
            return 0, "good"
        if inner[0].lower() in DEFECT:
            return 1, inner[1] if len(inner) > 2 else "defect"
        return 1, inner[0]
    if layout == "classes" and len(inner) > 1:
        return classes.index(inner[0]), inner[0]
    return None, None


def _mask(folder, path, kind, masks):
    beside = path.with_suffix(".png")
    if beside != path and beside in masks:
        return beside
    places = (folder / name / str(kind) / f"{path.stem}_mask.png" for name in ("ground_truth", "masks"))
    if place := next((place for place in places if place in masks), None):
        return place
    # Of MVTec AD also where test/ or test/<defect>/ is named, and ground_truth/ lies outside.
    outside = path.parent.parent.parent / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
    return outside if path.parent.parent.name == "test" and outside.is_file() else None


def files_below(folder):
    """Every file below a folder, through links too, but for hidden ones; no folder is visited twice."""
    visited = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(root)) in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in names if not name.startswith(".") and name != "Thumbs.db")


def _folders(folder):
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_good(name):
    return name.lower() in GOOD


def _exposures(samples, gap=150):
    """Names the tile of each ``expK_num_ID`` image of Magnetic Tile Defects (Huang et al. 2018).

    A tile was photographed up to seven times under other light, and not always from the same place. Exposure K + 1 of
    a tile is the one with the next larger ID, a few dozen on, while the next tile starts hundreds further.
    `fsad.duplicates` finds the same for 1074 of 1105 such links; most of the others show one tile in two crops.
    """
    named = [re.fullmatch(r"exp(\d+)_num_(\d+)", s.path.stem) for s in samples]
    order = sorted((int(m[2]), int(m[1]), k) for k, m in enumerate(named) if m)
    tile = {}
    for position, (number, exposure, k) in enumerate(order):
        tile.setdefault(k, samples[k].path.stem)
        for later, next_exposure, j in order[position + 1 :]:
            if later - number > gap:
                break
            if next_exposure == exposure + 1:
                tile[j] = tile[k]
                break
    return [dataclasses.replace(s, group=tile.get(k)) for k, s in enumerate(samples)]


def _listing(stem):
    """Images named ``<place>_<number>_<n>`` with the same place and number show one thing (a listing of AirBnB, say),
    also where they are in different classes."""
    match = re.fullmatch(r"(.*[^\W\d_]_\d+)_\d+", stem)
    return match[1] if match else None
