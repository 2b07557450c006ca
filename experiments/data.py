"""A name or a folder on the command line -> a data set."""

import dataclasses
import functools
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fsad import colours, inputs, splits, synthetic
from fsad.images import read_mask, resize

CACHE = Path(__file__).parent / ".cache"
SYNTHETIC = {f"synthetic-{t}": functools.partial(synthetic.write, texture=t) for t in synthetic.TEXTURES}
SYNTHETIC["synthetic-flowers"] = synthetic.write_flowers
# What is known of data sets by the name of their folder: `fsad.inputs.load`'s pattern and arguments of
# `fsad.splits.sample_shots`. KolektorSDD has some forty items of up to eight faces, and all good ones are in train/.
# Neighbouring cells of ELPV are of one solar module: those of one hundred stay together. The toy figures stand in a
# fixed camera and pass for near-duplicates.
KNOWN = {
    "kolektorsdd": {"group_pattern": r"kos\d+", "pooled": True, "distinct": False},
    "aws_alien": {"group_pattern": ".+"},
    "elpv_mono": {"group_pattern": r"cell\d\d", "distinct": False},
}
DEFAULTS = {"group_pattern": None, "pooled": False, "distinct": True}


def resolve(name):
    """The folder of a data set; a synthetic one is drawn on first use.

    Args:
        name: a folder; a folder below ``FSAD_DATA_DIR``, such as ``magnetic_tile``; or a key of `SYNTHETIC`.

    Raises:
        FileNotFoundError: none of these.
    """
    if name in SYNTHETIC:
        # Named after the version of the drawing code, so that images drawn by an older one are not used.
        folder = CACHE / "data" / synthetic.version() / name
        with tqdm(desc=f"drawing {name}", unit="image", disable=folder.exists() or None) as bar:
            return SYNTHETIC[name](folder, progress=bar.update)
    if Path(name).is_dir():
        return Path(name)
    root = os.environ.get("FSAD_DATA_DIR")
    if root and (Path(root) / name).is_dir():
        return Path(root) / name
    raise FileNotFoundError(
        f"Expected --data to be a folder, one of {', '.join(SYNTHETIC)}, or a folder below FSAD_DATA_DIR "
        f"({root or 'not set'}). Received: {name}"
    )


def there(name):
    """Whether a data set is on this machine or can be drawn."""
    try:
        return name in SYNTHETIC or resolve(name).is_dir()
    except FileNotFoundError:
        return False


def drawn(name):
    """False for a synthetic data set that `resolve` would have to draw first."""
    return name not in SYNTHETIC or (CACHE / "data" / synthetic.version() / name).is_dir()


def known(name):
    """The settings of `DEFAULTS` for a data set, by the name of its folder."""
    return {**DEFAULTS, **KNOWN.get(Path(name).name, {})}


@functools.lru_cache(maxsize=4)
def load(name, group_pattern=None):
    """The data set with the groups of near-duplicates and of a pattern (`fsad.inputs.load`), read once per process."""
    dataset = inputs.load(resolve(name), group_pattern)
    with tqdm(total=len(dataset.samples), desc=f"reading {name}", unit="image", leave=False, disable=None) as bar:
        dataset = inputs.with_groups(dataset, progress=bar.update, trusted=group_pattern is not None)
    for path, reason in dataset.skipped[:10]:
        tqdm.write(f"left out: {path.relative_to(dataset.folder)}: {reason}")
    if len(dataset.skipped) > 10:
        tqdm.write(f"left out: {len(dataset.skipped) - 10} more; the table's .json names all")
    return dataset


def of(settings):
    """The data set of a run's settings."""
    return load(settings["data"], settings["group_pattern"])


def describe(dataset, settings=DEFAULTS):
    """One line on a data set for a table; synthetic images are called so, and pooled ones."""
    drawn = "synthetic images, " if synthetic.is_synthetic(dataset.folder) else ""
    pooled = ", good images of train/ and test/ pooled" * (settings["pooled"] and dataset.layout == "MVTec AD")
    return drawn + dataset.summary() + pooled


def told_by_colour(dataset):
    """What six colour numbers alone tell apart (`fsad.colours`), as text such as ``"good from defective 0.52"``."""
    areas = colours.confounds(dataset).items()
    return ", ".join(f"{what} {'–' if area is None else format(area, '.2f')}" for what, area in areas)


def labelled(dataset):
    """A data set of classes, with the first as good and the others as defective; others as they are."""
    if dataset.layout != "classes":
        return dataset
    first = min(s.kind for s in dataset.samples)
    as_good, as_defective = {"label": 0, "kind": "good"}, {"label": 1}
    samples = [dataclasses.replace(s, **(as_good if s.kind == first else as_defective)) for s in dataset.samples]
    return dataclasses.replace(dataset, samples=tuple(samples), layout=f"{first} against the other kinds")


def check_shots(settings):
    """Raises FileNotFoundError or ValueError for settings that `shots` cannot be drawn with."""
    shots(of(settings), settings, np.random.default_rng(0))


def shots(dataset, settings, rng, test_good=None):
    """`fsad.splits.sample_shots` with the settings of a table, in which 0 test images per class means all."""
    roles = {name: settings[name] for name in ("anchors", "good", "defective", "hold_out", "pooled", "distinct")}
    return splits.sample_shots(
        dataset, rng, **roles, test_per_class=settings["test_per_class"] or None, test_good=test_good
    )


def test_fields(samples, dataset):
    """Test images as a record holds them: lists of ``path`` below the folder, ``label``, ``kind`` and ``group``."""
    return {
        "path": [path_of(s, dataset) for s in samples],
        **{name: [getattr(s, name) for s in samples] for name in ("label", "kind", "group")},
    }


def path_of(sample, dataset):
    """The path of a sample below the folder of its data set."""
    return sample.path.relative_to(dataset.folder).as_posix()


def mask_at(sample, side):
    """The defect mask of a sample, bool ``(side, side)``; None without one or if it is empty at this size."""
    if sample.mask is None:
        return None
    mask = resize(read_mask(sample.mask).astype(np.uint8) * 255, side) > 127
    return mask if mask.any() else None
