"""A name or a folder on the command line -> a folder of pictures."""

import functools
import os
from pathlib import Path

from tqdm import tqdm

from fsad import datasets, splits, synthetic

CACHE = Path(__file__).parent / ".cache"
SYNTHETIC = {f"synthetic-{t}": functools.partial(synthetic.write, texture=t) for t in synthetic.TEXTURES}
SYNTHETIC["synthetic-flowers"] = synthetic.write_flowers


def resolve(name):
    """The folder of a data set.

    Args:
        name: a folder; or ``synthetic-leather``, ``synthetic-metal``, ``synthetic-tile``, drawn on first
            use, or ``synthetic-flowers``; or the path of a folder below ``FSAD_DATA_DIR``, such as ``magnetic_tile``.

    Raises:
        FileNotFoundError: with the places looked at.
    """
    if name in SYNTHETIC:
        # By the code that draws: sets drawn by an older version are not mistaken for these.
        folder = CACHE / "data" / synthetic.version() / name
        with tqdm(desc=f"drawing {name}", unit="picture", disable=folder.exists()) as bar:
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
        return name in SYNTHETIC or bool(resolve(name))
    except FileNotFoundError:
        return False


def drawn(name):
    """Whether a data set is there, or would have to be drawn first."""
    return not name.startswith("synthetic-") or (CACHE / "data" / synthetic.version() / name).is_dir()


def describe(dataset):
    """One line on a data set for a table; synthetic pictures are called so."""
    return ("synthetic pictures, " if synthetic.is_synthetic(dataset.folder) else "") + dataset.summary()


def shots(dataset, settings, rng):
    """`fsad.splits.sample_shots` as the settings of a table have it; 0 test pictures a class are all."""
    roles = {k: settings[k] for k in ("anchors", "good", "defective", "hold_out")}
    return splits.sample_shots(dataset, rng, **roles, test_per_class=settings["test_per_class"] or None)


def told(samples, dataset):
    """What a record keeps of test pictures: lists of ``path`` below the folder, ``label``, ``kind`` and ``group``."""
    return {
        "path": [s.path.relative_to(dataset.folder).as_posix() for s in samples],
        **{key: [getattr(s, key) for s in samples] for key in ("label", "kind", "group")},
    }


@functools.lru_cache(maxsize=4)
def load(name):
    """The data set with near-duplicate groups; found once a process."""
    dataset = datasets.load(resolve(name))
    with tqdm(total=len(dataset.samples), desc=f"reading {name}", unit="picture", leave=False) as bar:
        dataset = datasets.with_groups(dataset, progress=bar.update)
    for path, reason in dataset.skipped[:10]:
        tqdm.write(f"left out: {path.relative_to(dataset.folder)}: {reason}")
    if len(dataset.skipped) > 10:
        tqdm.write(f"left out: {len(dataset.skipped) - 10} more; the table's .json names all")
    return dataset
