"""Surfaces of parts: leather, metal, tile."""

import cv2
import numpy as np
from scipy.spatial import cKDTree


class Surface:
    """Maps of one part: height and gloss ``(S, S)``, albedo ``(S, S, 3)``."""

    def __init__(self, height, albedo, gloss):
        self.height, self.albedo, self.gloss = height, albedo, np.full(height.shape, gloss, np.float32)
        self.size = len(height)

    def blend(self, alpha, color):
        """Mixes a colour into the albedo; ``alpha`` is ``(S, S)`` in [0, 1]."""
        self.albedo += alpha[..., None] * (np.asarray(color, np.float32) - self.albedo)


def noise(rng, size, low, high, stretch=(1.0, 1.0)):
    """Band-passed Gaussian noise of mean 0 and deviation 1, with wavelengths between low and high pixels.

    ``stretch`` multiplies the wavelengths along (y, x): brushed metal is noise stretched along one axis.
    """
    fy = np.fft.fftfreq(size)[:, None] * stretch[0]
    fx = np.fft.rfftfreq(size)[None] * stretch[1]
    f = np.hypot(fy, fx)
    band = np.exp(-((f * low) ** 2)) * (1 - np.exp(-((f * high) ** 2)))
    z = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * band, s=(size, size))
    return (z / (z.std() + 1e-9)).astype(np.float32)


def _material(color, rng, station_rng):
    """The colour of one part: that of its batch, with a small deviation."""
    batch = np.array(color) * station_rng.uniform(0.9, 1.1) + station_rng.normal(0, 0.01, 3)
    return batch * rng.uniform(0.98, 1.02) + rng.normal(0, 0.001, 3)


def leather(rng, size, station_rng):
    # Worley noise: distance to the second-nearest seed minus that to the nearest is 0 on the creases between grains.
    cell = station_rng.uniform(5.0, 7.0)
    seeds = rng.uniform(-10, size + 10, (int(((size + 20) / cell) ** 2), 2))
    yx = np.stack(np.mgrid[:size, :size], -1).reshape(-1, 2) + rng.normal(0, 0.4, (size * size, 2))
    near = cKDTree(seeds).query(yx, k=2)[0].astype(np.float32)
    crease = np.exp(-(near[:, 1] - near[:, 0]).reshape(size, size) / 1.3)
    height = -1.6 * cv2.GaussianBlur(crease, (0, 0), 0.8) + 0.2 * noise(rng, size, 4, 12)
    base = _material([0.47, 0.31, 0.21], rng, station_rng)
    tone = 1 + 0.015 * noise(rng, size, 30, 200) - 0.28 * crease
    return Surface(height, (base * tone[..., None]).astype(np.float32), 0.18)


def metal(rng, size, station_rng):
    along = station_rng.uniform(25, 60)
    brushed = noise(rng, size, 1.2, 6, (along, 1)) + 0.7 * noise(rng, size, 3, 40, (along / 3, 1))
    base = _material([0.46, 0.46, 0.47], rng, station_rng)
    tone = 1 + 0.10 * brushed + 0.02 * noise(rng, size, 40, 300) + 0.03 * noise(rng, size, 1, 3)
    return Surface(0.25 * brushed, (base * tone[..., None]).astype(np.float32), 0.55)


def tile(rng, size, station_rng):
    field = noise(rng, size, 5, 22) + 0.4 * noise(rng, size, 2, 8)
    blotch = 1 / (1 + np.exp(-6 * (field - station_rng.uniform(0.9, 1.2) - rng.uniform(-0.03, 0.03))))
    base = _material([0.62, 0.60, 0.56], rng, station_rng)
    tone = 1 + 0.04 * noise(rng, size, 1.5, 5) + 0.02 * noise(rng, size, 40, 300)
    albedo = (base * tone[..., None] * (1 - 0.62 * blotch[..., None])).astype(np.float32)
    return Surface(0.12 * noise(rng, size, 2, 12), albedo, 0.3)


SURFACES = {"leather": leather, "metal": metal, "tile": tile}
