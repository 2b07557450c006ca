"""Figures of images with their anomaly maps. Colours are cividis, made for colour-blind readers."""

import cv2
import numpy as np

from fsad.files import atomic_file

COLORS = "cividis"
_OPTIONAL_COLUMNS = (
    ("closeup", "where the map is highest"),
    ("reference", "nearest reference"),
    ("mask", "defect mask"),
)
CLOSE = 8  # times that a close-up magnifies


def normalize(anomaly_map, percentile=99.5, top=None):
    """A map ``(H, W)`` scaled to [0, 1].

    0 stays 0; ``top``, or the percentile if None, becomes 1. A zero map stays zero.
    """
    top = np.percentile(anomaly_map, percentile) if top is None else top
    return np.clip(anomaly_map / top, 0, 1) if top > 0 else np.zeros_like(anomaly_map)


def blend(image, anomaly_map, strength=0.65, top=None):
    """Lays a map over an image; where the map is 0, the image shows through in gray.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        anomaly_map: ``(h, w)``, values >= 0, resized to the image.
        strength: opacity of the colour where the map is 1.
        top: value of the map that is shown as 1; its 99.5th percentile if None.

    Returns:
        uint8 RGB ``(H, W, 3)``.
    """
    height, width = image.shape[:2]
    scaled = normalize(anomaly_map, top=top).astype(np.float32)
    scaled = cv2.resize(scaled, (width, height), interpolation=cv2.INTER_LINEAR)
    color = colored(scaled)
    gray = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    alpha = strength * scaled[..., None]
    return np.round(gray * (1 - alpha) + color * alpha).astype(np.uint8)


def colored(values):
    """Values in [0, 1] ``(h, w)`` as uint8 RGB ``(h, w, 3)``."""
    levels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return cv2.applyColorMap(levels, cv2.COLORMAP_CIVIDIS)[..., ::-1]


def highest(anomaly_map, image):
    """``(x, y)`` in pixels of an image ``(H, W, 3)``: the middle of the cell with the largest value of its map
    ``(h, w)``."""
    row, column = np.unravel_index(np.argmax(anomaly_map), anomaly_map.shape)
    return tuple(
        int((place + 0.5) * size / cells)
        for place, size, cells in zip((column, row), image.shape[1::-1], anomaly_map.shape[::-1], strict=True)
    )


def closeup(image, place):
    """The part of an image ``(H, W, 3)`` around a place ``(x, y)``, an eighth of either side."""
    height, width = (size // CLOSE for size in image.shape[:2])
    left, top = (
        int(np.clip(middle - part // 2, 0, size - part))
        for middle, part, size in zip(place, (width, height), image.shape[1::-1], strict=True)
    )
    return image[top : top + height, left : left + width]


def panel(examples, title=None, top=None, label="saliency, 1 = 99.5th percentile"):
    """A figure with one row per example: image, map, overlay and, if any example has them, reference and mask.

    Args:
        examples: dicts with ``image`` (uint8 RGB), ``anomaly_map``, ``title`` (such as score and verdict) and,
            optionally, ``closeup`` (uint8 RGB, of `closeup`), ``reference`` (uint8 RGB) and ``mask`` (bool ``(H, W)``
            or None).
        title: above all rows.
        top: value of the maps that is shown as 1; the 99.5th percentile of each map if None.
        label: of the colour bar.

    Raises:
        ValueError: no example.
    """
    from matplotlib.figure import Figure  # a second to import, which reports do not need

    if not examples:
        raise ValueError("Expected at least one example. Received: none")
    optional = [(key, name) for key, name in _OPTIONAL_COLUMNS if any(e.get(key) is not None for e in examples)]
    names = ["image", "map", "overlay", *(name for _, name in optional)]
    figure = Figure(figsize=(2.3 * len(names), 2.55 * len(examples) + (0.5 if title else 0)), layout="constrained")
    axes = figure.subplots(len(examples), len(names), squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        row[0].imshow(example["image"])
        row[0].set_title(example["title"], fontsize=9, loc="left")
        height, width = example["image"].shape[:2]
        scaled = normalize(example["anomaly_map"], top=top)
        mappable = row[1].imshow(scaled, cmap=COLORS, vmin=0, vmax=1, extent=(0, width, height, 0))
        row[2].imshow(blend(example["image"], example["anomaly_map"], top=top))
        for axis, (key, name) in zip(row[3:], optional, strict=True):
            if example.get(key) is not None:
                axis.imshow(example[key], cmap="gray", vmin=0, vmax=1 if key == "mask" else None)
            else:
                axis.text(0.5, 0.5, f"no {name.removeprefix('defect ')}", ha="center", va="center", fontsize=9)
    _label_columns(axes, names)
    bar = figure.colorbar(mappable, ax=axes, shrink=min(1.0, 2 / len(examples)), aspect=30, pad=0.02)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


PAIR_NAMES = ("what makes them different", "what makes them alike")


def pair_panel(first, second, factual, counterfactual, title, names=PAIR_NAMES):
    """A figure of a comparison: one row per image, with its factual and its counterfactual map.

    Args:
        first, second: uint8 RGB.
        factual, counterfactual: maps ``(2, h, w)`` in [0, 1] from `fsad.explain.gradcam.pair_maps`.
        title: such as similarity and verdict.
        names: what the factual and the counterfactual map show; by default those of the target ``"different"``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 5.1), layout="constrained")
    axes = figure.subplots(2, 3)
    for k, (row, image) in enumerate(zip(axes, (first, second), strict=True)):
        row[0].imshow(image)
        row[1].imshow(blend(image, factual[k], top=1))
        row[2].imshow(blend(image, counterfactual[k], top=1))
        row[0].set_ylabel(("first image", "second image")[k], fontsize=9)
    _label_columns(axes, ("image", f"factual:\n{names[0]}", f"counterfactual:\n{names[1]}"))
    figure.suptitle(title, fontsize=11)
    return figure


def _label_columns(axes, names):
    """Names the columns below the last row; removes the ticks of all axes."""
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, name in zip(axes[-1], names, strict=True):
        axis.set_xlabel(name, fontsize=9)


def rectangle(axis, box):
    """Draws a `fsad.explain.boxes.Box` into an axis: black on a wider white line, visible on any image."""
    from matplotlib.patches import Rectangle

    for color, width in (("white", 3.5), ("black", 1.5)):
        size = (box.right - box.left - 1, box.bottom - box.top - 1)
        axis.add_patch(Rectangle((box.left, box.top), *size, fill=False, edgecolor=color, linewidth=width))


def save(figure, path, dpi=75):
    """Writes a figure as PNG; the file appears whole or not at all."""
    with atomic_file(path) as file:
        # Without the software version the bytes depend on the figure alone.
        figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
