"""What a user points at, or the folder of a data set -> samples: listed once (`find`, `load`), read once.

The layouts of a folder are in `fsad.inputs.layouts`.
"""

import collections
import dataclasses
import glob
import os
import re
from pathlib import Path

import numpy as np

from fsad import duplicates
from fsad.images import MIN_SIDE, SUFFIXES
from fsad.inputs.layouts import files_below, layout_of, list_images
from fsad.inputs.reading import Reading, prefetch, read_ahead
from fsad.inputs.samples import Dataset, Sample

__all__ = ["Dataset", "Reading", "Sample", "find", "grouped", "load", "look", "prefetch", "read_ahead", "with_groups"]


def find(inputs, group_pattern=None):
    """Lists inputs without reading them.

    Args:
        inputs: a path, folder or glob; an array, uint8 RGB ``(H, W, 3)`` or gray ``(H, W)``, or a stack
            ``(n, H, W, 3)``; a `Sample`, which stays as it is; or several of these in a list. A folder stands for every
            image file below it except masks, labelled where it has a layout that tells good from defective. Hidden
            files and files without an image extension are skipped unless named.
        group_pattern: as in `load`.

    Returns:
        A list of `Sample`. A missing file that is named as an image is in it: reading it says so.

    Raises:
        FileNotFoundError: a folder or glob without any image, or a name that is neither a file nor an image's.
        ValueError: an array of another shape or type, or a pattern that is no regular expression or fits no name.
    """
    samples = []
    for item in inputs if isinstance(inputs, (list, tuple)) else [inputs]:
        if isinstance(item, Sample):
            samples.append(item)
        elif isinstance(item, np.ndarray):
            samples += _arrays(item, len(samples))
        else:
            samples += _paths(item)
    return grouped(samples, group_pattern)


def load(folder, group_pattern=None):
    """The folder of a data set, in whichever of the known layouts it has.

    Args:
        folder: its path.
        group_pattern: a regular expression that finds the name of the part in the path of an image below the folder,
            such as ``"kos[0-9]+"`` or, with the name in parentheses, ``"item([0-9]+)_face"``; ``".+"`` says that each
            image shows a part of its own. Images of one part are never on both sides of a split. What the pattern finds
            is trusted: it takes the place of the search for near-duplicates, which parts in a fixed camera can mislead.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no layout fits, no image is in it, or a pattern that is no regular expression or fits no name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of images. Received: no such folder")
    layout = layout_of(folder)
    samples, skipped = list_images(folder, layout)
    samples = [s for s in samples if s.label is not None]
    if not samples:
        raise ValueError(
            f"{folder}: expected images in the {layout} layout. Received: none, and {len(skipped)} other files"
        )
    return Dataset(folder, layout, tuple(grouped(samples, group_pattern)), tuple(skipped))


def look(folder, group_pattern=None):
    """As `load`, for a folder that need not have a layout: then ``layout`` is None and no sample has a label."""
    folder = Path(folder)
    try:
        layout = layout_of(folder)
    except ValueError:
        layout = None
    # Classes tell one kind of image from another, not good from defective.
    samples, skipped = list_images(folder, None if layout == "classes" else layout)
    return Dataset(folder, layout, tuple(grouped(samples, group_pattern)), tuple(skipped))


def grouped(samples, group_pattern):
    """The samples, a list, with the groups that a pattern finds in their paths; see `load`."""
    if group_pattern is None:
        return samples
    try:
        pattern = re.compile(group_pattern)
    except re.error as error:
        raise ValueError(
            f"Expected group_pattern to be a regular expression. Received: {group_pattern!r} ({error})"
        ) from None
    below = [s.path.relative_to(s.folder).as_posix() if s.folder else s.name for s in samples]
    matches = [pattern.search(name) for name in below]
    if samples and not any(matches):
        raise ValueError(f"Expected group_pattern to fit names such as {below[0]}. Received: {group_pattern!r}")
    groups = [m and (next((g for g in m.groups() if g is not None), m[0])) for m in matches]
    return [
        sample if group is None else dataclasses.replace(sample, group=group)
        for sample, group in zip(samples, groups, strict=True)
    ]


def with_groups(dataset, progress=None, trusted=False):
    """Reads every image once; images of one part and near-duplicates (`fsad.duplicates`) get one group number.

    Images that cannot be read move to ``skipped`` with their reason; of the others the data set has their ``colours``.
    ``progress``: called with 1 after each image. ``trusted``: whether the parts are known from a pattern, as in
    `fsad.duplicates.groups`.
    """
    readable, signatures, numbers, skipped = [], [], [], []
    for reading in read_ahead(dataset.samples, signatures=True):
        if reading.error:
            skipped.append((reading.sample.path, reading.error))
        else:
            readable.append(reading.sample)
            signatures.append(reading.signature)
            numbers.append(reading.colours)
        if progress:
            progress(1)
    groups = duplicates.groups(signatures, known=[s.part for s in readable], trusted=trusted)
    samples = tuple(dataclasses.replace(s, group=int(g)) for s, g in zip(readable, groups, strict=True))
    skipped = dataset.skipped + tuple(skipped)
    return dataclasses.replace(dataset, samples=samples, skipped=skipped, colours=np.reshape(numbers, (-1, 6)))


def _arrays(array, number):
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError("Expected an array without a mask (a region is confined by roi). Received: a masked array")
    if array.dtype != np.uint8:
        hint = "; multiply by 255 what is in [0, 1]" if np.issubdtype(array.dtype, np.floating) else ""
        raise ValueError(f"Expected a uint8 image, values 0 to 255. Received: {array.dtype}{hint}")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, -1)
    stack = array[None] if array.ndim == 3 else array
    if stack.ndim != 4 or stack.shape[-1] != 3 or min(stack.shape[1:3]) < MIN_SIDE:
        raise ValueError(f"Expected RGB (H, W, 3), gray (H, W) or RGB (n, H, W, 3). Received: {array.shape}")
    return [Sample(image, number=number + k) for k, image in enumerate(stack)]


def _paths(item):
    if not isinstance(item, (str, Path)):
        raise ValueError(f"Expected a path, folder, glob or array. Received: {type(item).__name__}")
    path = Path(item)
    if path.is_dir():
        samples = list(look(path).samples)
    elif glob.has_magic(str(item)) and not path.exists():
        samples = [Sample(Path(p)) for p in sorted(glob.glob(str(item), recursive=True)) if not Path(p).is_dir()]
    elif path.suffix.lower() in SUFFIXES or os.path.lexists(path):
        return [Sample(path)]
    else:
        raise FileNotFoundError(
            f"{item}: expected an image, a folder or a quoted pattern. Received: no such file or folder"
        )
    if not samples:
        raise FileNotFoundError(f"{item}: expected images ({', '.join(SUFFIXES)}). Received: {_others(path)}")
    return samples


def _others(folder):
    """What a folder without images has."""
    suffixes = collections.Counter(path.suffix.lower() or "(no extension)" for path in files_below(folder))
    return ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common(3)) or "none"
