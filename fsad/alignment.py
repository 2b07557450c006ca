"""Alignment: an image is moved and turned until it lies on a reference image of the part, before it is compared.

Both are taken at most `SIDE` pixels a side, gray, without what is blurred (light, shading). A coarse search turns the
image in steps and shifts the middle of the reference over it; from the best places the enhanced correlation
coefficient (Evangelidis and Psarakis 2008) finds shift and rotation to a fraction of a pixel. It locks where that
coefficient is at least `LOCKED`; a texture without marks does not.
"""

from typing import NamedTuple

import cv2
import numpy as np

SIDE = 160  # pixels
COARSE = 80  # pixels, of the search
MIDDLE = 0.7  # of the reference's sides, which the search shifts over the image
ANGLES = np.arange(-30, 31, 6)  # degrees
STARTS = 3  # places of the search that are looked at closely
LOCKED = 0.6  # correlation coefficient
ENOUGH = 0.9  # of the good images must lock
TRIED = 8  # good images that may become the reference
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)


class Aligned(NamedTuple):
    """``image`` as it lies on the reference, ``matrix`` ``(3, 3)`` from pixels of the reference to pixels of the image
    as it was; where it did not lock, the image as it was and None. ``correlation``: how well they agree, up to 1."""

    image: np.ndarray
    matrix: np.ndarray | None
    correlation: float


class Aligner:
    """Aligns images to a reference.

    Args:
        reference: uint8 RGB ``(h, w, 3)``; images are of its size.
    """

    def __init__(self, reference):
        self.size = reference.shape[:2]
        self._fine, self._coarse = _details(reference, SIDE), _details(reference, COARSE)

    def __call__(self, image):
        """Returns `Aligned`."""
        fine, correlation = self._coarse_to_fine(image)
        if fine is None or correlation < LOCKED:
            return Aligned(image, None, correlation)
        matrix = rescaled(fine, self._fine.shape, self.size)
        height, width = self.size
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(image, matrix[:2], (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return Aligned(moved, matrix, correlation)

    def _coarse_to_fine(self, image):
        coarse, fine = _details(image, COARSE), _details(image, SIDE)
        turned = sorted((self._turned(coarse, angle) for angle in ANGLES), key=lambda fit: -fit[0])
        starts = [np.eye(3), *(rescaled(matrix, coarse.shape, fine.shape) for _, matrix in turned[:STARTS])]
        return max((self._refined(fine, start) for start in starts), key=lambda fit: fit[1])

    def _turned(self, image, angle):
        """``(correlation, matrix)`` of an image that is turned, and shifted to where it then fits best."""
        height, width = image.shape
        turn = np.vstack([cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(angle), 1), [0, 0, 1]])
        turned = cv2.warpAffine(image, turn[:2], (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        down, across = (round(length * (1 - MIDDLE) / 2) for length in (height, width))
        middle = self._coarse[down : height - down, across : width - across]
        agreement = cv2.matchTemplate(turned, middle, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(agreement)
        return best, turn @ np.array([[1, 0, x - across], [0, 1, y - down], [0, 0, 1]])

    def _refined(self, image, start):
        """``(matrix, correlation)``; the matrix is None where nothing was found."""
        try:
            correlation, matrix = cv2.findTransformECC(
                self._fine, image, start[:2].astype(np.float32), cv2.MOTION_EUCLIDEAN, _STOP, None, 3
            )
        except cv2.error:  # no overlap, or nothing to see
            return None, -1.0
        return np.vstack([matrix, [0, 0, 1]]), correlation


def choose(images):
    """The row of a good image, among the first `TRIED`, that the others of them lock on best."""
    some = images[:TRIED]
    worth = [np.mean([aligner(other).correlation for other in some]) for aligner in map(Aligner, some)]
    return int(np.argmax(worth))


def fit(images, good, first=False):
    """Aligns training images to one of the good ones.

    Args:
        images: uint8 ``(n, h, w, 3)``.
        good: bool ``(n,)``.
        first: take the first good image as the reference, which a region of interest is drawn on, and not the one that
            the others lock on best.

    Returns:
        ``(images, reference, missed)``: the aligned images, the reference image, and how many defective images did not
        lock and stay as they were.

    Raises:
        ValueError: fewer than `ENOUGH` of the good images lock.
    """
    rows = np.flatnonzero(good)
    reference = images[rows[0 if first else choose(images[rows])]].copy()
    aligner = Aligner(reference)
    aligned = [aligner(image) for image in images]
    locked = np.array([one.matrix is not None for one in aligned])
    if locked[good].mean() < ENOUGH:
        raise ValueError(
            f"Expected good images that can be aligned: of a part whose outline or marks are in each of them. "
            f"Received: {locked[good].sum()} of {good.sum()} lock on a reference; fit without align"
        )
    return np.stack([one.image for one in aligned]), reference, int((~locked & ~good).sum())


def back(anomaly_map, matrix, size):
    """A map ``(h, w)`` of an aligned image of ``size``, as the image lay before; outside of it the lowest value."""
    height, width = anomaly_map.shape
    own, low = rescaled(matrix, size, anomaly_map.shape)[:2], float(anomaly_map.min())
    values = np.asarray(anomaly_map, np.float32)
    return cv2.warpAffine(values, own, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=low)


def point_back(point, matrix, size):
    """A point ``(x, y)`` of an aligned image of ``size``, each in [0, 1], as the image lay before."""
    height, width = size
    across, down = (matrix @ (point[0] * width - 0.5, point[1] * height - 0.5, 1.0))[:2]
    return float((across + 0.5) / width), float((down + 0.5) / height)


def rescaled(matrix, size, other):
    """A matrix between pixels of images ``(height, width)`` as one between pixels of images of another size."""
    (height, width), (tall, wide) = size, other
    x, y = wide / width, tall / height
    scale = np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])  # the middle of pixel 0 is at 0
    return scale @ matrix @ np.linalg.inv(scale)


def _details(image, side):
    """Gray, small, float32, without its blurred copy."""
    height, width = image.shape[:2]
    shrink = min(1.0, side / max(height, width))
    size = max(8, round(width * shrink)), max(8, round(height * shrink))
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return cv2.GaussianBlur(gray, (0, 0), 1) - cv2.GaussianBlur(gray, (0, 0), side / 10)
