"""From a map to the box around what it marks, and the picture cut to it (Livieris et al. 2023, section 4.4)."""

from typing import NamedTuple

import cv2
import numpy as np

from fsad.images import MIN_SIDE


class Box(NamedTuple):
    """Pixels ``[top:bottom, left:right]`` of a picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self):
        return (self.right - self.left) * (self.bottom - self.top)


def box(heat, shape, threshold=0.5, margin=0.1):
    """The box of a map.

    The rule, after Zhou et al. (2016): the map is resized to the picture; places of at least ``threshold`` times
    its largest value are kept; the largest connected region of them (neighbours also across corners) is bounded by
    a rectangle, and that is widened by ``margin`` of its own width and height on each side. Zhou et al. keep
    0.2; maps of 7 x 7 places are so smooth once resized that this is most of the picture, and boxes of 0.5 overlap the
    blossoms of synthetic flowers (of another seed than those of the tables) better.

    Args:
        heat: ``(h, w)``, values >= 0.
        shape: ``(height, width)`` of the picture, in pixels.
        threshold: in (0, 1].
        margin: >= 0.

    Returns:
        A `Box` of at least `fsad.images.MIN_SIDE` pixels a side, as far as the picture has them; the whole picture
        if the map is zero.

    Raises:
        ValueError: threshold, margin, or a map that is not finite.
    """
    if not 0 < threshold <= 1 or margin < 0:
        raise ValueError(f"Expected threshold in (0, 1] and margin >= 0. Received: {threshold}, {margin}")
    if not np.isfinite(heat).all():
        raise ValueError("Expected a map of finite values. Received: some that are not")
    height, width = shape[:2]
    heat = cv2.resize(np.asarray(heat, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    if heat.max() <= 0:
        return Box(0, 0, width, height)
    kept = (heat >= threshold * heat.max()).astype(np.uint8)
    _, _, regions, _ = cv2.connectedComponentsWithStats(kept, connectivity=8)
    largest = 1 + regions[1:, cv2.CC_STAT_AREA].argmax()  # 0 is what was not kept
    left, top, w, h = regions[largest, :4].tolist()
    left, right = _widened(left, left + w, margin, width)
    top, bottom = _widened(top, top + h, margin, height)
    return Box(left, top, right, bottom)


def _widened(start, stop, margin, most):
    """An interval with its margin within ``[0, most]``; a short one grows about its middle to what can be read back."""
    wider = round(margin * (stop - start))
    start, stop = max(0, start - wider), min(most, stop + wider)
    if stop - start < MIN_SIDE:
        start = min(max(0, (start + stop - MIN_SIDE) // 2), max(0, most - MIN_SIDE))
        stop = min(most, start + MIN_SIDE)
    return start, stop


def crop(picture, found):
    """The part of a picture ``(H, W, ...)`` in a box, a copy."""
    return picture[found.top : found.bottom, found.left : found.right].copy()
