"""Anomaly map -> regions: connected places above the map's threshold, as boxes and contours in pixels of the image.

The map's threshold comes from the good images alone: it is the conformal quantile of the largest values of their
held-out maps, so that a new good image shows a region with a probability of at most 5 %, or what the number of good
images supports (`fsad.thresholds.choose`, on those values). It does not move with the threshold of the score.
"""

import json
from typing import NamedTuple

import cv2
import numpy as np

from fsad import thresholds
from fsad.files import atomic_file

SIDE = 512  # pixels a side, at most, that a map is resized to: a 4000 x 3000 image needs no finer contour


class Region(NamedTuple):
    """A connected place above the map's threshold.

    ``box``: ``(left, top, width, height)`` in pixels; ``contour``: the outline, ``((x, y), ...)`` in pixels; ``area``
    in pixels; ``peak``: the largest value of the map in it; ``severity``: how far the map is above its threshold, on
    the average over the region, in units of the map.
    """

    box: tuple
    contour: tuple
    area: int
    peak: float
    severity: float


def limit(maps):
    """The map's threshold, by held-out maps of good images ``(n, h, w)``."""
    return thresholds.choose(maps.reshape(len(maps), -1).max(1)).value


def find(anomaly_map, size, limit, min_area=0):
    """Regions of a map, the one of the highest peak first.

    Args:
        anomaly_map: ``(h, w)``.
        size: ``(height, width)`` of the image in pixels.
        limit: the map's threshold.
        min_area: pixels of the image; smaller regions are left out.

    Returns:
        A tuple of `Region`.
    """
    if not np.max(anomaly_map) > limit:
        return ()
    shrink = min(1.0, SIDE / max(size))
    height, width = (max(1, round(length * shrink)) for length in size)
    values = cv2.resize(np.asarray(anomaly_map, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    scale = np.array([size[1] / width, size[0] / height])
    count, labels = cv2.connectedComponents((values > limit).astype(np.uint8), connectivity=8)
    regions = []
    for number in range(1, count):
        own = labels == number
        area = round(float(own.sum() * scale.prod()))
        if area < min_area:
            continue
        outlines, _ = cv2.findContours(own.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outline = max(outlines, key=len).reshape(-1, 2)
        left, top, across, down = cv2.boundingRect(outline)
        box = np.round(np.array([left, top, across, down]) * np.tile(scale, 2)).astype(int)
        contour = ((outline + 0.5) * scale).astype(int)
        inside = values[own]
        regions.append(
            Region(
                tuple(box.tolist()),
                tuple(map(tuple, contour.tolist())),
                area,
                float(inside.max()),
                float(inside.mean() - limit),
            )
        )
    return tuple(sorted(regions, key=lambda region: -region.peak))


def as_json(region):
    """A region as JSON values: box, area, peak, severity."""
    return {
        "box": list(region.box),
        "area": region.area,
        "peak": float(f"{region.peak:.6g}"),
        "severity": float(f"{region.severity:.6g}"),
    }


class Coco:
    """Regions of many images as a file in the style of COCO, which annotation tools read.

    One category, ``defect``; ``segmentation`` is the contour, ``score`` the peak.
    """

    def __init__(self):
        self.images, self.annotations = [], []

    def add(self, name, size, regions):
        """The regions of an image of ``(height, width)`` pixels."""
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": name, "height": int(size[0]), "width": int(size[1])})
        for region in regions:
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": list(region.box),
                    "area": region.area,
                    "segmentation": [[value for point in region.contour for value in point]],
                    "iscrowd": 0,
                    "score": float(f"{region.peak:.6g}"),
                }
            )

    def write(self, path):
        content = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": [{"id": 1, "name": "defect"}],
        }
        with atomic_file(path, "w") as file:
            file.write(json.dumps(content) + "\n")


def write_map(path, anomaly_map, size, display_range):
    """Writes a map at the size of its image as a 16-bit PNG: 0 and 65535 are the ends of ``display_range``."""
    low, high = display_range
    height, width = size
    values = cv2.resize(np.asarray(anomaly_map, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    scaled = np.round(np.clip((values - low) / (high - low), 0, 1) * 65535).astype(np.uint16)
    done, data = cv2.imencode(".png", scaled)
    if not done:
        raise OSError(f"{path}: the map could not be encoded as PNG")
    with atomic_file(path) as file:
        file.write(data)
