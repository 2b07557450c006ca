"""Maps as pictures: picture, map, overlay, mask. Colours are cividis, made for colour-blind readers."""

import io

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fsad import storage

COLORS = "cividis"


def normalize(heat, percentile=99.5, top=None):
    """A map ``(H, W)`` scaled to [0, 1]: 0 stays 0, ``top`` or else the percentile becomes 1. A zero map stays zero."""
    top = np.percentile(heat, percentile) if top is None else top
    return np.clip(heat / top, 0, 1) if top > 0 else np.zeros_like(heat)


def blend(picture, heat, strength=0.65, top=None):
    """Lays a map over a picture; where the map is 0 the picture, in gray, shows through.

    Args:
        picture: uint8 RGB ``(H, W, 3)``.
        heat: ``(h, w)``, values >= 0, resized to the picture.
        strength: share of the colour where the map is 1.
        top: value of the map that is 1; its 99.5th percentile if None.

    Returns:
        uint8 RGB ``(H, W, 3)``.
    """
    height, width = picture.shape[:2]
    heat = cv2.resize(normalize(heat, top=top).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    color = matplotlib.colormaps[COLORS](heat)[..., :3] * 255
    gray = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    alpha = strength * heat[..., None]
    return np.round(gray * (1 - alpha) + color * alpha).astype(np.uint8)


def panel(examples, title=None, top=None, label="saliency, 1 = 99.5th percentile"):
    """A figure with one row an example: picture, map, overlay and, where an example has them, reference and mask.

    Args:
        examples: dicts with ``picture`` (uint8 RGB), ``heat`` (a map), ``title`` (say, score and
            verdict) and, optionally, ``reference`` (uint8 RGB) and ``mask`` (bool ``(H, W)`` or None).
        title: above all rows.
        top: value of the maps that is 1; of each map its own 99.5th percentile if None.
        label: of the colour bar.
    """
    if not examples:
        raise ValueError("Expected at least one example. Received: none")
    further = [(key, name) for key, name in _FURTHER if any(e.get(key) is not None for e in examples)]
    names = ["picture", "map", "overlay", *(name for _, name in further)]
    figure = Figure(figsize=(2.3 * len(names), 2.55 * len(examples) + (0.5 if title else 0)), layout="constrained")
    axes = figure.subplots(len(examples), len(names), squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        row[0].imshow(example["picture"])
        row[0].set_title(example["title"], fontsize=9, loc="left")
        height, width = example["picture"].shape[:2]
        heat = row[1].imshow(
            normalize(example["heat"], top=top), cmap=COLORS, vmin=0, vmax=1, extent=(0, width, height, 0)
        )
        row[2].imshow(blend(example["picture"], example["heat"], top=top))
        for axis, (key, name) in zip(row[3:], further, strict=True):
            if example.get(key) is not None:
                axis.imshow(example[key], cmap="gray", vmin=0, vmax=1 if key == "mask" else None)
            else:
                axis.text(0.5, 0.5, f"no {name.removeprefix('defect ')}", ha="center", va="center", fontsize=9)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, name in zip(axes[-1], names, strict=True):
        axis.set_xlabel(name, fontsize=9)
    bar = figure.colorbar(heat, ax=axes, shrink=min(1.0, 2 / len(examples)), aspect=30, pad=0.02)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def pair_panel(first, second, factual, counterfactual, title, names=("for the verdict", "against it")):
    """A figure of a comparison: a row for each picture, with its factual and its counterfactual map.

    Args:
        first, second: uint8 RGB.
        factual, counterfactual: maps ``(2, h, w)`` in [0, 1], as `fsad.explain.gradcam` gives them.
        title: say, similarity and verdict.
        names: what factual and counterfactual stand for here.
    """
    figure = Figure(figsize=(7.4, 5.1), layout="constrained")
    axes = figure.subplots(2, 3)
    for k, (row, picture) in enumerate(zip(axes, (first, second), strict=True)):
        row[0].imshow(picture)
        row[1].imshow(blend(picture, factual[k], top=1))
        row[2].imshow(blend(picture, counterfactual[k], top=1))
        row[0].set_ylabel(("first picture", "second picture")[k], fontsize=9)
    below = ("picture", f"factual: {names[0]}", f"counterfactual: {names[1]}")
    for axis, name in zip(axes[1], below, strict=True):
        axis.set_xlabel(name, fontsize=9)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle(title, fontsize=11)
    return figure


def rectangle(axis, found):
    """Draws a `fsad.explain.boxes.Box` into an axis; white under black, to be seen on any picture."""
    for color, width in (("white", 3.5), ("black", 1.5)):
        size = (found.right - found.left - 1, found.bottom - found.top - 1)
        axis.add_patch(Rectangle((found.left, found.top), *size, fill=False, edgecolor=color, linewidth=width))


_FURTHER = (("reference", "nearest good picture"), ("mask", "defect mask"))


def save(figure, path, dpi=75):
    """Writes a figure as PNG; the file appears whole or not at all."""
    drawn = io.BytesIO()
    # Without the software version the bytes depend on the figure alone.
    figure.savefig(drawn, format="png", dpi=dpi, metadata={"Software": None})
    storage.write(path, drawn.getvalue())
