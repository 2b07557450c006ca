"""Where maps and boxes lie, against masks of the object."""

import cv2
import numpy as np

from fsad.evaluation import pixel_auroc
from fsad.explain.boxes import Box
from fsad.images import read_mask


def object_masks(samples, rows):
    """Masks of the object by row, of the images that have one which is neither empty nor the whole image."""
    masks = {row: read_mask(samples[row].mask) for row in rows.tolist() if samples[row].mask}
    return {row: mask for row, mask in masks.items() if mask.any() and not mask.all()}


def located(maps, samples, masks, boxes):
    """Where maps and boxes lie: a dict of pixel AUROC of the maps against the mask, and of the mean magnitude, which
    knows nothing of the image; and of the mean intersection over union of the boxes of cropped images with that around
    the mask.

    Args:
        maps: `fsad.explain.gradcam.pair_maps` of the images with a mask, in the order of ``masks``.
        samples, boxes: of all images; a box of -1 is of an image that is not cropped.
        masks: from `object_masks`, not empty.
    """
    rows = [*masks]
    maps = {name: getattr(maps, name)[:, 0] for name in ("factual", "counterfactual", "magnitude")}
    maps["mean map"] = np.broadcast_to(maps["magnitude"].mean(0), maps["magnitude"].shape)
    measured = {}
    for name, values in maps.items():
        areas = [pixel_auroc(one, samples[row].mask) for one, row in zip(values, rows, strict=True)]
        measured[name] = float(np.mean(areas))
    for way in boxes:
        cropped = [row for row in masks if boxes[way][row][0] >= 0]
        overlaps = [overlap(Box(*boxes[way][row].tolist()), box_around(masks[row])) for row in cropped]
        measured[f"box, {way}"] = float(np.mean(overlaps)) if overlaps else None
    return measured


def box_around(mask):
    """The smallest `Box` with all of a mask."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return Box(left, top, left + width, top + height)


def overlap(a, b):
    """Intersection over union of two boxes."""
    width = max(0, min(a.right, b.right) - max(a.left, b.left))
    shared = width * max(0, min(a.bottom, b.bottom) - max(a.top, b.top))
    return shared / (a.area + b.area - shared)
