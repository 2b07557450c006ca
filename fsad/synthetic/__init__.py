"""Synthetic textures with synthetic defects: data without a download.

Every number measured on these images is a number about synthetic data; tables and figures say so. Three textures
(leather, metal, tile) and seven defect types, each with its pixel mask, are drawn from one
``np.random.Generator``; `write` lays them out as MVTec AD does.

Images of one set share a *station*, its camera and its lamp, as parts on a production line do; only small changes
of light, tone and colour remain between them. An image is made of a *height* map (which shades under a light), an
*albedo* map (the colour of the material) and a *gloss* map, then the light itself, a slight defocus and sensor
noise. Defects change the first three, before the light, so they are shaded like everything else. Good images are
not clean: they carry faint specks, blotches and wear that no mask marks. `write_flowers` draws images of five
classes instead (`fsad.synthetic.flowers`).
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from fsad.files import atomic_folder
from fsad.images import write_image
from fsad.synthetic import defects, flowers
from fsad.synthetic.light import photograph
from fsad.synthetic.surfaces import SURFACES

TEXTURES = tuple(SURFACES)
DEFECTS = tuple(defects.DRAW)


def draw(texture, defect, rng, size=256, station=0):
    """Draws one synthetic image.

    Args:
        texture: one of `TEXTURES`.
        defect: one of `DEFECTS`, or ``"good"``.
        rng: an ``np.random.Generator``; the same state draws the same bytes.
        size: side in pixels, at least 64.
        station: an integer that stands for one camera, one lamp and one batch of material.

    Returns:
        ``(image, mask)``: uint8 RGB of shape ``(size, size, 3)`` and bool of shape ``(size, size)``,
        True on the defect (nowhere for ``"good"``).

    Raises:
        ValueError: unknown texture or defect, or a size below 64.
    """
    if texture not in TEXTURES:
        raise ValueError(f"Expected a texture among {TEXTURES}. Received: {texture!r}")
    if defect != "good" and defect not in DEFECTS:
        raise ValueError(f"Expected a defect among {DEFECTS} or 'good'. Received: {defect!r}")
    if size < 64:
        raise ValueError(f"Expected a size of at least 64 pixels. Received: {size}")
    station_rng = np.random.default_rng([station, TEXTURES.index(texture)])
    surface = SURFACES[texture](rng, size, station_rng)
    defects.wear(surface, rng)
    mask = np.zeros((size, size), bool)
    if defect != "good":
        mask = defects.DRAW[defect](surface, rng)
    return photograph(surface, rng, station_rng), mask


def write(folder, texture, seed=0, good=160, defective=12, size=256, progress=None):
    """Writes a synthetic set in the MVTec AD layout, or returns at once if the same set is already there.

    The folder appears complete or not at all.

    Args:
        folder: where to write; its ``synthetic.json`` records the settings.
        texture: one of `TEXTURES`.
        seed: an integer. Every image is drawn from a random stream of its own, so a larger set contains
            the smaller one.
        good: number of good images; a quarter goes to ``test/good``, the rest to ``train/good``.
        defective: number of images of each of the seven defect types, in ``test/<type>``, with masks in
            ``ground_truth/<type>``.
        size: side in pixels.
        progress: called with 1 after each image, if given.

    Returns:
        The folder, a ``Path``.

    Raises:
        FileExistsError: the folder contains something else.
    """
    settings = {"texture": texture, "seed": seed, "good": good, "defective": defective, "size": size}

    def examples():
        for path, defect, k in _plan(good, defective):
            rng = np.random.default_rng([seed, TEXTURES.index(texture), ("good", *DEFECTS).index(defect), k])
            image, mask = draw(texture, defect, rng, size, station=seed)
            yield path, image, f"ground_truth/{defect}/{Path(path).stem}_mask.png" if defect != "good" else "", mask

    return _write(folder, settings, examples(), progress)


def write_flowers(folder, seed=0, each=100, size=160, progress=None):
    """Writes synthetic flowers, ``each`` images of every class in `flowers.KINDS`, as one folder per class.

    Masks of the blossoms are in ``masks/<class>``. Everything else is as in `write`.
    """

    def examples():
        for number, kind in enumerate(flowers.KINDS):
            for k in range(each):
                image, mask = flowers.draw(kind, np.random.default_rng([seed, number, k]), size)
                yield f"{kind}/{k:03d}.png", image, f"masks/{kind}/{k:03d}_mask.png", mask

    return _write(folder, {"flowers": each, "seed": seed, "size": size}, examples(), progress)


def _write(folder, settings, examples, progress):
    """Writes ``(path, image, path of the mask or "", mask)`` below ``folder``."""
    folder = Path(folder)
    settings = {"synthetic": True, "code": version(), **settings}
    note = folder / "synthetic.json"
    if folder.exists():
        existing = json.loads(note.read_text()) if note.is_file() else None
        if existing == settings:
            return folder
        raise FileExistsError(
            f"{folder}: expected an unused path or the synthetic set {settings}. "
            f"Received: {existing or 'other files'}. Remove it or choose another folder."
        )
    with atomic_folder(folder, "a synthetic set", "synthetic.json") as part:
        for path, image, mask_path, mask in examples:
            write_image(part / path, image)
            if mask_path:
                write_image(part / mask_path, mask.astype(np.uint8) * 255)
            if progress:
                progress(1)
        (part / "synthetic.json").write_text(json.dumps(settings, indent=1) + "\n")
    return folder


def version():
    """Digest of the code that draws; sets drawn by different code count as different sets."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def is_synthetic(folder):
    """Whether a folder was written by `write` or `write_flowers`."""
    return (Path(folder) / "synthetic.json").is_file()


def _plan(good, defective):
    """Yields ``(path, defect, number within its type)`` of each image."""
    for k in range(good):
        side = "test" if k % 4 == 3 else "train"
        yield f"{side}/good/{k:03d}.png", "good", k
    for k in range(defective):
        for defect in DEFECTS:
            yield f"test/{defect}/{k:03d}.png", defect, k
