"""Where the Grad-CAM maps of `experiments.livieris` lie: on the object or not, for data sets with masks of it."""

import cv2
import numpy as np

from fsad import evaluation, images
from fsad.explain import boxes
from fsad.explain.gradcam import gradcam


def located(dataset, run, tested, partner, cut):
    """Where the maps of the test pictures lie, for data sets with masks of the object; None for others.

    Pixel AUROC of the maps against the mask, and of the mean magnitude, which knows nothing of the picture; mean
    intersection over union of the boxes, of pictures that were cut, with that of the mask.
    """
    masks = {int(k): _mask(dataset.samples[k]) for k in tested if partner[k] >= 0}
    rows = [k for k, mask in masks.items() if mask is not None]
    if not rows:
        return None
    maps = gradcam(run["head"], run["features"][rows], run["features"][partner[rows]], target="same")
    kinds = {name: getattr(maps, name)[:, 0] for name in ("factual", "counterfactual", "magnitude")}
    kinds["mean_map"] = np.broadcast_to(kinds["magnitude"].mean(0), kinds["magnitude"].shape)
    out = {"pictures": len(rows)}
    for name, heats in kinds.items():
        areas = [evaluation.pixel_auroc(h, dataset.samples[k].mask) for h, k in zip(heats, rows, strict=True)]
        out[name] = float(np.mean(areas))
    for way, found in cut.items():
        shared = [_overlap(found[k].box, _around(masks[k])) for k in rows if k in found]
        out[f"box_{way}"] = float(np.mean(shared)) if shared else None
    return out


def _mask(sample):
    """The mask of a sample in the size of its picture; None without one, or without both object and background."""
    if sample.mask is None:
        return None
    try:
        mask = images.read_mask(sample.mask)
    except images.ImageError:
        return None
    if not mask.any() or mask.all():
        return None
    height, width = images.read(sample.path).shape[:2]
    return cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)


def _around(mask):
    left, top, width, height = cv2.boundingRect(mask)
    return boxes.Box(left, top, left + width, top + height)


def _overlap(a, b):
    """Intersection over union of two boxes."""
    shared = max(0, min(a.right, b.right) - max(a.left, b.left)) * max(0, min(a.bottom, b.bottom) - max(a.top, b.top))
    return shared / (a.area + b.area - shared)
