"""Defects and wear: each modifies a surface in place; a defect returns its mask."""

import cv2
import numpy as np

from fsad.synthetic.shapes import blob, centre_of, stroke, walk


def wear(surface, rng):
    """Variation that good parts show too: specks, faint blotches, a faint scuff."""
    for _ in range(rng.integers(2, 9)):
        shape = blob(surface.size, rng, rng.uniform(0.8, 2.2), soft=0.7)
        surface.blend(shape * rng.uniform(0.1, 0.45), np.full(3, rng.choice([0.08, 0.75])))
    if rng.random() < 0.7:
        shape = blob(surface.size, rng, rng.uniform(12, 40), soft=8)
        surface.albedo *= 1 + (shape * rng.uniform(-0.04, 0.04))[..., None]
    if rng.random() < 0.4:
        line = stroke(surface.size, rng, rng.uniform(15, 50), 0.8, bend=0.1)
        surface.albedo *= 1 + (line * rng.uniform(-0.12, 0.12))[..., None]


def _scale(surface, rng, low, high):
    """A log-uniform size in pixels; ``low`` and ``high`` refer to an image of 256 pixels."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) * surface.size / 256


def _cut(surface, rng):
    path = walk(surface.size, rng, _scale(surface, rng, 40, 160), rng.uniform(0.1, 0.8))
    width = _scale(surface, rng, 1.6, 5)
    line = stroke(surface.size, rng, 0, width, path=path)
    lip = stroke(surface.size, rng, 0, 2.5 * width, path=path) - line
    surface.height -= line * rng.uniform(1.5, 4)
    surface.height += np.clip(lip, 0, 1) * rng.uniform(0.2, 0.8)
    surface.blend(line * rng.uniform(0.35, 0.8), surface.albedo.mean((0, 1)) * rng.uniform(0.2, 0.6))
    return line > 0.3


def _fold(surface, rng):
    width = _scale(surface, rng, 9, 26)
    path = walk(surface.size, rng, _scale(surface, rng, 80, 200), rng.uniform(0.05, 0.4))
    ridge = cv2.GaussianBlur(stroke(surface.size, rng, 0, width, path=path), (0, 0), width / 4)
    surface.height += ridge * rng.uniform(2.5, 6) * rng.choice([-1, 1])
    surface.albedo *= 1 + (ridge * rng.uniform(-0.12, 0.08))[..., None]
    return ridge > 0.35


def _glue(surface, rng):
    shape = blob(surface.size, rng, _scale(surface, rng, 12, 40), soft=1.5, rough=0.5)
    smooth = cv2.GaussianBlur(surface.height, (0, 0), 2.5)
    film = shape * rng.uniform(0.5, 0.95)
    surface.height += film * (smooth - surface.height) + 1.2 * cv2.GaussianBlur(shape, (0, 0), 2)
    surface.albedo += film[..., None] * (cv2.GaussianBlur(surface.albedo, (0, 0), 2) - surface.albedo)
    surface.blend(shape * rng.uniform(0.03, 0.18), [0.75, 0.73, 0.66])
    surface.gloss += shape * rng.uniform(0.1, 0.4)
    return shape > 0.5


def _hole(surface, rng):
    shape = blob(surface.size, rng, _scale(surface, rng, 4, 15), soft=0.8, rough=0.4)
    surface.height -= cv2.GaussianBlur(shape, (0, 0), 1) * 4
    surface.blend(shape * rng.uniform(0.55, 0.92), surface.albedo.mean((0, 1)) * rng.uniform(0.12, 0.45))
    surface.gloss *= 1 - shape
    return shape > 0.5


def _poke(surface, rng):
    radius = _scale(surface, rng, 4, 12)
    centre = centre_of(surface.size, rng)
    dent = blob(surface.size, rng, radius, soft=radius / 2, rough=0.1, centre=centre)
    rim = blob(surface.size, rng, 1.6 * radius, soft=radius / 2, rough=0.1, centre=centre)
    surface.height += 1.5 * np.clip(rim - dent, 0, 1) - dent * rng.uniform(2, 6)
    surface.albedo *= 1 - (dent * rng.uniform(0.05, 0.35))[..., None]
    return rim > 0.5


def _color(surface, rng):
    shape = blob(surface.size, rng, _scale(surface, rng, 10, 38), soft=rng.uniform(1, 5), rough=0.6)
    own = surface.albedo.mean((0, 1))
    dye = np.clip(own * rng.uniform(0.55, 1.5) + rng.normal(0, 0.13, 3), 0.03, 0.9)
    surface.blend(shape * rng.uniform(0.25, 0.65), dye)
    return shape > 0.4


def _scratch(surface, rng):
    first = walk(surface.size, rng, _scale(surface, rng, 40, 150), rng.uniform(0.0, 0.15))
    mask = np.zeros((surface.size, surface.size), bool)
    tone = rng.uniform(0.12, 0.45) * rng.choice([-1, 1], p=[0.4, 0.6])
    for _ in range(rng.integers(1, 5)):
        line = stroke(surface.size, rng, 0, rng.uniform(0.9, 1.8), path=first + rng.normal(0, 4, 2))
        surface.albedo *= 1 + (line * tone)[..., None]
        surface.height -= line * rng.uniform(0.2, 1.2)
        mask |= line > 0.3
    return mask


DRAW = {"color": _color, "cut": _cut, "fold": _fold, "glue": _glue, "hole": _hole, "poke": _poke, "scratch": _scratch}
