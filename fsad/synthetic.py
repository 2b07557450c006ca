"""Synthetic textures with synthetic defects: the data that needs no download.

Every number measured on these pictures is a number about synthetic data, and everything here says so.
Three textures (leather, metal, tile) and seven defect types, each with its pixel mask, are drawn from
one ``np.random.Generator``; `write` lays them out as MVTec AD does.

Pictures of one set share a *station*, the camera and the lamp, as parts on a line do; only small changes
of light, tone and colour remain between them. What a picture is made of: a *height* map (what shades
under a light), an *albedo* map (the colour of the material), a *gloss* map, then the light itself, a
slight defocus and sensor noise. Defects change the first three, before the light, so that they are
shaded as the rest is. Good pictures are not clean: they carry faint specks, blotches and wear that no
mask marks.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from fsad import images

TEXTURES = ("leather", "metal", "tile")
DEFECTS = ("color", "cut", "fold", "glue", "hole", "poke", "scratch")


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
    surface = {"leather": _leather, "metal": _metal, "tile": _tile}[texture](rng, size, fixed)
    _wear(surface, rng)
    mask = np.zeros((size, size), bool)
    if defect != "good":
        mask = _DRAW[defect](surface, rng)
    return _photograph(surface, rng, fixed), mask


def write(folder, texture, seed=0, good=160, defective=12, size=256, progress=None):
    """Writes a synthetic set in the MVTec AD layout, or returns at once if it is already there.

    The folder appears complete or not at all (drawn beside it, then renamed).

    Args:
        folder: where to write; its ``synthetic.json`` says what was asked for.
        texture: one of `TEXTURES`.
        seed: an integer. Picture k is drawn from its own stream ``(seed, texture, k)``, so a larger
            set begins with the smaller one.
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
    folder = Path(folder)
    asked = {"synthetic": True, "format": 1, "texture": texture, "seed": seed, "good": good,
             "defective": defective, "size": size}  # fmt: skip
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
        for k, (place, defect) in enumerate(_plan(good, defective)):
            rng = np.random.default_rng([seed, TEXTURES.index(texture), k])
            picture, mask = draw(texture, defect, rng, size, station=seed)
            images.write(unfinished / place, picture)
            if defect != "good":
                name = Path(place).stem + "_mask.png"
                images.write(unfinished / "ground_truth" / defect / name, mask.astype(np.uint8) * 255)
            if progress:
                progress(1)
        (unfinished / "synthetic.json").write_text(json.dumps(asked, indent=1) + "\n")
        os.chmod(unfinished, 0o755)
        os.rename(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _plan(good, defective):
    """(path, defect) of each picture, good and defective in turn so that a prefix is a smaller set."""
    for k in range(good):
        place = "test" if k % 4 == 3 else "train"
        yield f"{place}/good/{k:03d}.png", "good"
    for k in range(defective):
        for defect in DEFECTS:
            yield f"test/{defect}/{k:03d}.png", defect


# ---- surfaces: height (S, S), albedo (S, S, 3) in [0, 1], gloss (S, S) in [0, 1] ---------------------


class _Surface:
    def __init__(self, height, albedo, gloss):
        self.height, self.albedo, self.gloss = height, albedo, np.full(height.shape, gloss, np.float32)
        self.size = len(height)

    def blend(self, alpha, color):
        self.albedo += alpha[..., None] * (np.asarray(color, np.float32) - self.albedo)


def _noise(rng, size, low, high, stretch=(1.0, 1.0)):
    """Band-passed Gaussian noise, zero mean and unit deviation; wavelengths between low and high pixels.

    ``stretch`` multiplies the wavelengths along (y, x): brushed metal is noise stretched along one axis.
    """
    fy = np.fft.fftfreq(size)[:, None] * stretch[0]
    fx = np.fft.rfftfreq(size)[None] * stretch[1]
    f = np.hypot(fy, fx)
    band = np.exp(-((f * low) ** 2)) * (1 - np.exp(-((f * high) ** 2)))
    z = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * band, s=(size, size))
    return (z / (z.std() + 1e-9)).astype(np.float32)


def _material(color, rng, fixed):
    """The colour of a batch, and how far one part strays from it."""
    batch = np.array(color) * fixed.uniform(0.9, 1.1) + fixed.normal(0, 0.01, 3)
    return batch * rng.uniform(0.98, 1.02) + rng.normal(0, 0.001, 3)


def _leather(rng, size, fixed):
    # Worley noise: the second-nearest minus the nearest seed is 0 on the creases between grains.
    cell = fixed.uniform(5.0, 7.0)
    seeds = rng.uniform(-10, size + 10, (int(((size + 20) / cell) ** 2), 2))
    yx = np.stack(np.mgrid[:size, :size], -1).reshape(-1, 2) + rng.normal(0, 0.4, (size * size, 2))
    near = cKDTree(seeds).query(yx, k=2)[0].astype(np.float32)
    crease = np.exp(-(near[:, 1] - near[:, 0]).reshape(size, size) / 1.3)
    height = -1.6 * cv2.GaussianBlur(crease, (0, 0), 0.8) + 0.2 * _noise(rng, size, 4, 12)
    base = _material([0.47, 0.31, 0.21], rng, fixed)
    tone = 1 + 0.015 * _noise(rng, size, 30, 200) - 0.28 * crease
    return _Surface(height, (base * tone[..., None]).astype(np.float32), 0.18)


def _metal(rng, size, fixed):
    along = fixed.uniform(25, 60)
    brushed = _noise(rng, size, 1.2, 6, (along, 1)) + 0.7 * _noise(rng, size, 3, 40, (along / 3, 1))
    base = _material([0.46, 0.46, 0.47], rng, fixed)
    tone = 1 + 0.10 * brushed + 0.02 * _noise(rng, size, 40, 300) + 0.03 * _noise(rng, size, 1, 3)
    return _Surface(0.25 * brushed, (base * tone[..., None]).astype(np.float32), 0.55)


def _tile(rng, size, fixed):
    field = _noise(rng, size, 5, 22) + 0.4 * _noise(rng, size, 2, 8)
    blotch = 1 / (1 + np.exp(-6 * (field - fixed.uniform(0.9, 1.2) - rng.uniform(-0.03, 0.03))))
    base = _material([0.62, 0.60, 0.56], rng, fixed)
    tone = 1 + 0.04 * _noise(rng, size, 1.5, 5) + 0.02 * _noise(rng, size, 40, 300)
    albedo = (base * tone[..., None] * (1 - 0.62 * blotch[..., None])).astype(np.float32)
    return _Surface(0.12 * _noise(rng, size, 2, 12), albedo, 0.3)


def _wear(surface, rng):
    """What good parts show too: specks, faint blotches, a faint scuff."""
    for _ in range(rng.integers(2, 9)):
        shape = _blob(surface.size, rng, rng.uniform(0.8, 2.2), soft=0.7)
        surface.blend(shape * rng.uniform(0.1, 0.45), np.full(3, rng.choice([0.08, 0.75])))
    if rng.random() < 0.7:
        shape = _blob(surface.size, rng, rng.uniform(12, 40), soft=8)
        surface.albedo *= 1 + (shape * rng.uniform(-0.04, 0.04))[..., None]
    if rng.random() < 0.4:
        line = _stroke(surface.size, rng, rng.uniform(15, 50), 0.8, bend=0.1)
        surface.albedo *= 1 + (line * rng.uniform(-0.12, 0.12))[..., None]


# ---- shapes: float (S, S) in [0, 1] ------------------------------------------------------------------


def _centre(size, rng, margin=0.1):
    return rng.uniform(margin * size, (1 - margin) * size, 2)


def _blob(size, rng, radius, soft=1.0, rough=0.25, centre=None):
    """An irregular round shape; ``rough`` is the relative wobble of its outline."""
    x, y = _centre(size, rng) if centre is None else centre
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    angle, squeeze = rng.uniform(0, np.pi), rng.uniform(0.65, 1.0)
    u = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
    v = ((yy - y) * np.cos(angle) - (xx - x) * np.sin(angle)) / squeeze
    r, phi = np.hypot(u, v), np.arctan2(v, u)
    edge = radius * (
        1 + rough * sum(rng.normal(0, 1 / k) * np.cos(k * phi + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4, 5, 7)) / 2
    )
    return (1 / (1 + np.exp(np.clip((r - edge) / max(soft, 0.3) * 2, -30, 30)))).astype(np.float32)


def _path(size, rng, length, bend):
    """A smooth random walk of ``length`` pixels through a random point, as float points (N, 2) in x, y."""
    n = max(int(length), 8)
    turn = np.cumsum(rng.normal(0, bend / np.sqrt(n), n)) * 3
    heading = rng.uniform(0, 2 * np.pi) + turn - turn[n // 2]
    step = np.stack([np.cos(heading), np.sin(heading)], 1)
    path = np.cumsum(step, 0)
    return path - path[n // 2] + _centre(size, rng, 0.2)


def _stroke(size, rng, length, width, bend=0.5, path=None):
    """A line that tapers at both ends, antialiased, width in pixels at its middle."""
    path = _path(size, rng, length, bend) if path is None else path
    yx = np.stack(np.mgrid[:size, :size], -1).reshape(-1, 2)[:, ::-1]
    distance, nearest = cKDTree(path).query(yx, distance_upper_bound=4 * width + 3)
    taper = np.sin(np.pi * (np.arange(len(path)) + 0.5) / len(path)) ** 0.5
    taper = np.append(taper, 1)[nearest].reshape(size, size)
    distance = np.minimum(distance, 1e3).reshape(size, size)
    return (1 / (1 + np.exp(np.clip((distance - width * taper / 2) * 3, -30, 30)))).astype(np.float32)


# ---- defects: change the surface, return the mask ----------------------------------------------------


def _scale(surface, rng, low, high):
    """A size in pixels, log-uniform, relative to a picture of 256."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) * surface.size / 256


def _cut(surface, rng):
    path = _path(surface.size, rng, _scale(surface, rng, 40, 160), rng.uniform(0.1, 0.8))
    width = _scale(surface, rng, 1.6, 5)
    line = _stroke(surface.size, rng, 0, width, path=path)
    lip = _stroke(surface.size, rng, 0, 2.5 * width, path=path) - line
    surface.height -= line * rng.uniform(1.5, 4)
    surface.height += np.clip(lip, 0, 1) * rng.uniform(0.2, 0.8)
    surface.blend(line * rng.uniform(0.35, 0.8), surface.albedo.mean((0, 1)) * rng.uniform(0.2, 0.6))
    return line > 0.3


def _fold(surface, rng):
    width = _scale(surface, rng, 9, 26)
    path = _path(surface.size, rng, _scale(surface, rng, 80, 200), rng.uniform(0.05, 0.4))
    ridge = cv2.GaussianBlur(_stroke(surface.size, rng, 0, width, path=path), (0, 0), width / 4)
    surface.height += ridge * rng.uniform(2.5, 6) * rng.choice([-1, 1])
    surface.albedo *= 1 + (ridge * rng.uniform(-0.12, 0.08))[..., None]
    return ridge > 0.35


def _glue(surface, rng):
    shape = _blob(surface.size, rng, _scale(surface, rng, 12, 40), soft=1.5, rough=0.5)
    smooth = cv2.GaussianBlur(surface.height, (0, 0), 2.5)
    film = shape * rng.uniform(0.5, 0.95)
    surface.height += film * (smooth - surface.height) + 1.2 * cv2.GaussianBlur(shape, (0, 0), 2)
    surface.albedo += film[..., None] * (cv2.GaussianBlur(surface.albedo, (0, 0), 2) - surface.albedo)
    surface.blend(shape * rng.uniform(0.03, 0.18), [0.75, 0.73, 0.66])
    surface.gloss += shape * rng.uniform(0.1, 0.4)
    return shape > 0.5


def _hole(surface, rng):
    shape = _blob(surface.size, rng, _scale(surface, rng, 4, 15), soft=0.8, rough=0.4)
    surface.height -= cv2.GaussianBlur(shape, (0, 0), 1) * 4
    surface.blend(shape * rng.uniform(0.55, 0.92), surface.albedo.mean((0, 1)) * rng.uniform(0.12, 0.45))
    surface.gloss *= 1 - shape
    return shape > 0.5


def _poke(surface, rng):
    radius = _scale(surface, rng, 4, 12)
    centre = _centre(surface.size, rng)
    dent = _blob(surface.size, rng, radius, soft=radius / 2, rough=0.1, centre=centre)
    rim = _blob(surface.size, rng, 1.6 * radius, soft=radius / 2, rough=0.1, centre=centre)
    surface.height += 1.5 * np.clip(rim - dent, 0, 1) - dent * rng.uniform(2, 6)
    surface.albedo *= 1 - (dent * rng.uniform(0.05, 0.35))[..., None]
    return rim > 0.5


def _color(surface, rng):
    shape = _blob(surface.size, rng, _scale(surface, rng, 10, 38), soft=rng.uniform(1, 5), rough=0.6)
    own = surface.albedo.mean((0, 1))
    dye = np.clip(own * rng.uniform(0.55, 1.5) + rng.normal(0, 0.13, 3), 0.03, 0.9)
    surface.blend(shape * rng.uniform(0.25, 0.65), dye)
    return shape > 0.4


def _scratch(surface, rng):
    first = _path(surface.size, rng, _scale(surface, rng, 40, 150), rng.uniform(0.0, 0.15))
    mask = np.zeros((surface.size, surface.size), bool)
    tone = rng.uniform(0.12, 0.45) * rng.choice([-1, 1], p=[0.4, 0.6])
    for _ in range(rng.integers(1, 5)):
        line = _stroke(surface.size, rng, 0, rng.uniform(0.9, 1.8), path=first + rng.normal(0, 4, 2))
        surface.albedo *= 1 + (line * tone)[..., None]
        surface.height -= line * rng.uniform(0.2, 1.2)
        mask |= line > 0.3
    return mask


_DRAW = {"color": _color, "cut": _cut, "fold": _fold, "glue": _glue, "hole": _hole, "poke": _poke, "scratch": _scratch}


# ---- light, lens, sensor -----------------------------------------------------------------------------


def _photograph(surface, rng, fixed):
    """Lambert shading and a broad highlight under the station's lamp, uneven light, defocus, noise."""
    size = surface.size
    gy, gx = np.gradient(surface.height)
    azimuth, slope = fixed.uniform(0, 2 * np.pi) + rng.normal(0, 0.05), fixed.uniform(0.3, 0.45)
    tilt = slope * (np.cos(azimuth) * gx + np.sin(azimuth) * gy)
    yy, xx = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    direction = fixed.uniform(0, 2 * np.pi) + rng.normal(0, 0.1)
    ramp = 1 + (fixed.uniform(0.05, 0.25) + rng.normal(0, 0.01)) * (np.cos(direction) * xx + np.sin(direction) * yy)
    cx, cy = fixed.uniform(-0.5, 0.5, 2) + rng.normal(0, 0.02, 2)
    spot = np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / fixed.uniform(0.1, 0.4))
    light = rng.uniform(0.97, 1.03) * ramp * (1 - tilt)
    shine = surface.gloss * (0.22 * spot + 0.5 * np.clip(-tilt, 0, 0.4) * spot)
    warmth = 1 + rng.normal(0, 0.004) * np.array([1, 0, -1])
    picture = (surface.albedo * light[..., None] + shine[..., None]) * warmth
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), rng.uniform(0.4, 0.7))
    picture += rng.normal(0, rng.uniform(0.006, 0.012), picture.shape)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
