"""Segments of an image, and the image with some of them switched off: what LIME and SINEX perturb."""

import cv2
import numpy as np

FILLS = ("reference", "blur", "mean")
BLUR = 0.1  # of the side: deviation of the Gaussian


def slic(image, count=36, compactness=10.0):
    """Superpixels of an image by SLIC (Achanta et al. 2012), by scikit-image.

    Args:
        image: uint8 RGB ``(H, W, 3)``.
        count: how many there are to be, about.
        compactness: how square they are, against how even in colour.

    Returns:
        int ``(H, W)``, numbers from 0 on, each of which occurs.
    """
    from skimage.segmentation import slic  # a second to import, which few callers need

    labels = slic(image, n_segments=count, compactness=compactness, start_label=0)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def filled(comparer, images, references, fill="reference"):
    """What stands in for the parts of images that are switched off.

    Args:
        images: ``(n, H, W, 3)`` in [0, 255].
        fill: ``"reference"``, the nearest reference image; ``"blur"``, the image blurred; ``"mean"``, its mean colour.

    Returns:
        float32 ``(n, H, W, 3)``.

    Raises:
        ValueError: no such fill.
    """
    if fill not in FILLS:
        raise ValueError(f"Expected a fill among {', '.join(FILLS)}. Received: {fill!r}")
    images = np.asarray(images, np.float32)
    if fill == "reference":
        return comparer.nearest(images, references).astype(np.float32)
    if fill == "blur":
        return np.stack([cv2.GaussianBlur(image, (0, 0), BLUR * image.shape[0]) for image in images])
    return np.broadcast_to(images.mean((1, 2), keepdims=True), images.shape)


def switched(image, other, labels, on):
    """An image ``(H, W, 3)`` with the segments that are off taken from another one.

    Args:
        labels: of `slic`, ``(H, W)``.
        on: bool ``(m, segments)``.

    Returns:
        float32 ``(m, H, W, 3)``.
    """
    return np.where(np.asarray(on, bool)[:, labels][..., None], image, other).astype(np.float32)


def spread(values, labels):
    """A value of each segment ``(segments,)`` -> a map ``(H, W)``."""
    return np.asarray(values, np.float32)[labels]
