"""Synthetic flowers in five classes, each image with the mask of its blossom: for classification, not inspection.

Only the shape of the blossom, its petals and heart, depends on the class. Colours, position, stem, leaves and
background are drawn from the same distribution for all classes. So a network has to use the blossom, and the masks
measure whether its explanations show that.
"""

import cv2
import numpy as np

from fsad.synthetic.shapes import blob, stroke
from fsad.synthetic.surfaces import noise

_COLORS = np.array(
    [
        [0.95, 0.93, 0.90],
        [0.96, 0.80, 0.20],
        [0.90, 0.35, 0.45],
        [0.75, 0.15, 0.20],
        [0.70, 0.50, 0.85],
        [0.35, 0.22, 0.12],
    ]
)


def draw(kind, rng, size=160):
    """Draws one synthetic flower.

    Args:
        kind: one of `KINDS`.
        rng: an ``np.random.Generator``.
        size: side in pixels, at least 64.

    Returns:
        ``(image, mask)``: uint8 RGB ``(size, size, 3)``, and bool ``(size, size)``, True on the blossom.

    Raises:
        ValueError: unknown kind, or a size below 64.
    """
    if kind not in BLOSSOMS:
        raise ValueError(f"Expected a flower among {KINDS}. Received: {kind!r}")
    if size < 64:
        raise ValueError(f"Expected a size of at least 64 pixels. Received: {size}")
    image = _meadow(rng, size)
    centre = np.array([rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.5)]) * size
    radius = rng.uniform(0.16, 0.27) * size
    _stem(image, rng, centre, size)
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    u, v = (xx - centre[0]) / radius, (yy - centre[1]) / (radius * rng.uniform(0.8, 1.0))
    color, heart = _COLORS[rng.permutation(len(_COLORS))[:2]] * rng.uniform(0.9, 1.05, (2, 1))
    alpha, petals = BLOSSOMS[kind](u, v, rng, color, heart)
    alpha = cv2.GaussianBlur(alpha.astype(np.float32), (0, 0), 0.7)
    image += alpha[..., None] * (petals * (1 + 0.05 * noise(rng, size, 2, 10))[..., None] - image)
    image = image * rng.uniform(0.85, 1.1) + rng.normal(0, 0.012, image.shape)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), alpha > 0.5


def _meadow(rng, size):
    ground = np.array([[0.28, 0.42, 0.20], [0.40, 0.36, 0.24], [0.50, 0.62, 0.72], [0.16, 0.22, 0.14]])
    base = ground[rng.integers(len(ground))] * rng.uniform(0.85, 1.15)
    image = base * (1 + 0.20 * noise(rng, size, 15, 120) + 0.10 * noise(rng, size, 3, 20))[..., None]
    for _ in range(rng.integers(3, 9)):  # out-of-focus leaves and blossoms
        alpha = blob(size, rng, rng.uniform(0.04, 0.14) * size, soft=5)
        color = [0.30, 0.48, 0.22] if rng.random() < 0.7 else _COLORS[rng.integers(len(_COLORS))]
        image += 0.6 * alpha[..., None] * (np.array(color) * rng.uniform(0.6, 1.1) - image)
    return image.astype(np.float32)


def _stem(image, rng, centre, size):
    t = np.linspace(0, 1, size)[:, None]
    foot = np.array([centre[0] + rng.uniform(-0.3, 0.3) * size, 1.1 * size])
    path = centre + t * (foot - centre) + np.sin(np.pi * t) * rng.uniform(-0.08, 0.08, 2) * size
    green = np.array([0.30, 0.50, 0.20]) * rng.uniform(0.7, 1.1)
    alpha = stroke(size, rng, 0, rng.uniform(3, 6) * size / 160, path=path)
    for _ in range(rng.integers(1, 4)):
        leaf = path[rng.integers(size // 3, 5 * size // 6)] + rng.uniform(-0.08, 0.08, 2) * size
        alpha = np.maximum(alpha, blob(size, rng, rng.uniform(0.04, 0.09) * size, centre=leaf))
    image += alpha[..., None] * (green - image)


def _rays(u, v, rng, color, heart_color, count, sharp, heart):
    """``count`` petals around a disc of ``heart`` times the radius."""
    r, phi = np.hypot(u, v), np.arctan2(v, u) + rng.uniform(0, 2 * np.pi)
    wave = np.abs(np.cos(count * phi / 2)) ** sharp
    alpha = r < heart + (1 - heart) * (0.25 + 0.75 * wave)
    shade = (0.75 + 0.25 * wave)[..., None] * color
    return alpha, np.where((r < heart)[..., None], heart_color, shade)


def _daisy(u, v, rng, color, heart):
    return _rays(u, v, rng, color, heart, rng.integers(11, 16), 0.5, 0.28)


def _sunflower(u, v, rng, color, heart):
    return _rays(u, v, rng, color, heart, rng.integers(16, 22), 1.2, 0.60)


def _dandelion(u, v, rng, color, heart):
    return _rays(u, v, rng, color, heart, rng.integers(34, 44), 2.0, 0.20)


def _rose(u, v, rng, color, heart):
    r, phi = np.hypot(u, v), np.arctan2(v, u)
    alpha = r < 0.92 + 0.06 * np.cos(5 * phi + rng.uniform(0, 2 * np.pi))
    turns = np.sin(3 * phi - 14 * r**0.8 + rng.uniform(0, 2 * np.pi))
    return alpha, (0.75 + 0.25 * turns)[..., None] * color


def _tulip(u, v, rng, color, heart):
    rim = -0.55 - 0.40 * np.abs(np.cos(1.5 * np.pi * u / 0.75))  # three points at the top
    alpha = (np.abs(u) < 0.75 * np.sqrt(np.clip(1 - np.clip(v, 0, 1) ** 2, 0, 1))) & (v < 1) & (v > rim)
    return alpha, (0.80 + 0.20 * np.cos(2.5 * np.pi * u + rng.normal(0, 0.2)))[..., None] * color


BLOSSOMS = {"daisy": _daisy, "dandelion": _dandelion, "rose": _rose, "sunflower": _sunflower, "tulip": _tulip}
KINDS = tuple(BLOSSOMS)
