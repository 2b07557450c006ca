"""Synthetic textures with synthetic defects: the data that needs no download.

Every number measured on these pictures is a number about synthetic data, and everything here says so.
Three textures (leather, metal, tile) and seven defect types, each with its pixel mask, are drawn from
one ``np.random.Generator``; `write` lays them out as MVTec AD does.

Pictures of one set share a *station*, the camera and the lamp, as parts on a line do; only small changes
of light, tone and colour remain between them. What a picture is made of: a *height* map (what shades
under a light), an *albedo* map (the colour of the material), a *gloss* map, then the light itself, a
slight defocus and sensor noise. Defects change the first three, before the light, so that they are
shaded as the rest is. Good pictures are not clean: they carry faint specks, blotches and wear that no
mask marks. `write_flowers` draws pictures of five classes instead (`fsad.synthetic.flowers`).
"""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from fsad import images
from fsad.synthetic import defects, flowers
from fsad.synthetic.light import photograph
from fsad.synthetic.surfaces import SURFACES

TEXTURES = tuple(SURFACES)
DEFECTS = tuple(defects.DRAW)


def draw(texture, defect, rng, size=256, station=0):
    """Draws one synthetic picture.

    Args:
        texture: one of `TEXTURES`.
        defect: one of `DEFECTS`, or ``"good"``.
        rng: an ``np.random.Generator``; the same state draws the same bytes.
        size: side in pixels, at least 64.
        station: an integer that stands for one camera, one lamp and one batch of material.

    Returns:
        ``(picture, mask)``: uint8 RGB of shape ``(size, size, 3)`` and bool of shape ``(size, size)``,
        True where the defect is (nowhere for ``"good"``).
    """
    if texture not in TEXTURES:
        raise ValueError(f"Expected a texture among {TEXTURES}. Received: {texture!r}")
    if defect != "good" and defect not in DEFECTS:
        raise ValueError(f"Expected a defect among {DEFECTS} or 'good'. Received: {defect!r}")
    if size < 64:
        raise ValueError(f"Expected a size of at least 64 pixels. Received: {size}")
    fixed = np.random.default_rng([station, TEXTURES.index(texture)])
    surface = SURFACES[texture](rng, size, fixed)
    defects.wear(surface, rng)
    mask = np.zeros((size, size), bool)
    if defect != "good":
        mask = defects.DRAW[defect](surface, rng)
    return photograph(surface, rng, fixed), mask


def write(folder, texture, seed=0, good=160, defective=12, size=256, progress=None):
    """Writes a synthetic set in the MVTec AD layout, or returns at once if it is already there.

    The folder appears complete or not at all (drawn beside it, then renamed).

    Args:
        folder: where to write; its ``synthetic.json`` says what was asked for.
        texture: one of `TEXTURES`.
        seed: an integer. Every picture is drawn from a stream of its own, so a larger set holds the
            smaller one.
        good: number of good pictures; a quarter goes to ``test/good``, the rest to ``train/good``.
        defective: number of pictures of each of the seven defect types, in ``test/<type>``, with
            masks in ``ground_truth/<type>``.
        size: side in pixels.
        progress: called with the number of pictures drawn since the last call, if given.

    Returns:
        The folder, a ``Path``.

    Raises:
        FileExistsError: the folder holds something else.
    """
    asked = {"texture": texture, "seed": seed, "good": good, "defective": defective, "size": size}

    def pictures():
        for place, defect, k in _plan(good, defective):
            rng = np.random.default_rng([seed, TEXTURES.index(texture), ("good", *DEFECTS).index(defect), k])
            picture, mask = draw(texture, defect, rng, size, station=seed)
            yield place, picture, f"ground_truth/{defect}/{Path(place).stem}_mask.png" if defect != "good" else "", mask

    return _write(folder, asked, pictures(), progress)


def write_flowers(folder, seed=0, each=100, size=160, progress=None):
    """Writes synthetic flowers, ``each`` of the five classes of `flowers.KINDS`, as one folder a class.

    Masks of the blossoms are in ``masks/<class>``. The rest is as `write` has it.
    """

    def pictures():
        for number, kind in enumerate(flowers.KINDS):
            for k in range(each):
                picture, mask = flowers.draw(kind, np.random.default_rng([seed, number, k]), size)
                yield f"{kind}/{k:03d}.png", picture, f"masks/{kind}/{k:03d}_mask.png", mask

    return _write(folder, {"flowers": each, "seed": seed, "size": size}, pictures(), progress)


def _write(folder, asked, pictures, progress):
    """Writes ``(place, picture, place of the mask or "", mask)`` below a folder that appears complete or not at all."""
    folder = Path(folder)
    asked = {"synthetic": True, "code": version(), **asked}
    note = folder / "synthetic.json"
    if folder.exists():
        found = json.loads(note.read_text()) if note.is_file() else None
        if found == asked:
            return folder
        raise FileExistsError(
            f"{folder}: expected nothing there or the synthetic set {asked}. Received: {found or 'other files'}. "
            "Remove it or choose another folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for place, picture, place_of_mask, mask in pictures:
            images.write(unfinished / place, picture)
            if place_of_mask:
                images.write(unfinished / place_of_mask, mask.astype(np.uint8) * 255)
            if progress:
                progress(1)
        (unfinished / "synthetic.json").write_text(json.dumps(asked, indent=1) + "\n")
        os.chmod(unfinished, 0o755)
        os.rename(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def version():
    """Digest of the code that draws: a set drawn by other code is another set."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def is_synthetic(folder):
    """Whether a folder was drawn by `write` or `write_flowers`."""
    return (Path(folder) / "synthetic.json").is_file()


def _plan(good, defective):
    """(path, defect, number among its kind) of each picture."""
    for k in range(good):
        place = "test" if k % 4 == 3 else "train"
        yield f"{place}/good/{k:03d}.png", "good", k
    for k in range(defective):
        for defect in DEFECTS:
            yield f"test/{defect}/{k:03d}.png", defect, k
