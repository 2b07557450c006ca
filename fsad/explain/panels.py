"""Figures that compare methods, and that show which reference patch answers for which."""

import math

import numpy as np

from fsad.explain import faithfulness, methods, overlay

COLUMNS = 4


def compare(image, maps, title, mask=None, answers=()):
    """A figure of one image by several methods.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        maps: anomaly maps ``(h, w)`` by name of the method; each is shown from 0 to its 99.5th percentile
            (`fsad.explain.methods.shown`).
        title: above all.
        mask: bool ``(H, W)`` of the defect, if it is known: outlined, and the pixel AUROC of each map is written.
        answers: ``(answer, reference image)`` of `fsad.explain.patches` or `fsad.explain.pairwise`: lines lead from the
            patches of the image to those that answer for them.

    Raises:
        ValueError: no map.
    """
    from matplotlib.figure import Figure  # a second to import

    if not maps:
        raise ValueError("Expected at least one map. Received: none")
    rows = math.ceil(len(maps) / COLUMNS) + 1
    figure = Figure(figsize=(2.4 * COLUMNS, 2.6 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    axes[0, 0].imshow(image)
    _outline(axes[0, 0], mask)
    axes[0, 0].set_title("image" if mask is None else "image, known defect", fontsize=9)
    for axis, (answer, reference) in zip(axes[0, 1:], answers, strict=False):
        _answer(figure, axes[0, 0], image.shape, axis, answer, reference)
    for axis, (name, one) in zip(axes[1:].flat, maps.items(), strict=False):
        axis.imshow(overlay.blend(image, methods.shown(name, one)))
        _outline(axis, mask)
        score = "" if mask is None else f" {faithfulness.pixel_auroc(one, mask):.2f}"
        axis.set_title(name.replace("_", " ") + score, fontsize=9)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        if not axis.images:
            axis.axis("off")
    figure.suptitle(title + ("" if mask is None else "; numbers: pixel AUROC of the map"), fontsize=10)
    return figure


def _outline(axis, mask):
    if mask is not None and mask.any():
        for color, width in (("white", 2.5), ("black", 1)):
            axis.contour(mask, [0.5], colors=[color], linewidths=width)


def _answer(figure, left, shape, axis, answer, reference):
    """Draws a reference with the patch that answers, and a line from the image's patch to it."""
    from matplotlib.patches import ConnectionPatch

    axis.imshow(reference)
    axis.set_title(f"reference {answer.reference + 1}, distance {answer.distance:.2g}", fontsize=8)
    ends = [np.multiply(answer.place, shape[1::-1]), np.multiply(answer.at, reference.shape[1::-1])]
    for color, width in (("white", 3), ("black", 1)):
        line = ConnectionPatch(
            ends[0], ends[1], "data", "data", axesA=left, axesB=axis, color=color, linewidth=width, arrowstyle="-"
        )
        figure.add_artist(line)
    for one, (x, y) in zip((left, axis), ends, strict=True):
        one.plot(x, y, "o", ms=7, mfc="none", mec="white", mew=3)
        one.plot(x, y, "o", ms=7, mfc="none", mec="black", mew=1.2)
