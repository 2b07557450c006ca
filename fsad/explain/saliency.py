"""Pixel saliency of a comparison (Senarathna and Wijesinghe 2025, section V.C)."""

import cv2
import numpy as np

from fsad.explain.comparer import Comparer, References

SIGMA = 0.02


def maps(comparer, images, references, target="different", sigma=SIGMA):
    """``|d y / d pixel|``, averaged over the channels, then smoothed.

    Args:
        comparer, references, target: as in `fsad.explain.comparer`; the paper's y is the mean similarity to the
            references, whose gradient has the same magnitude.
        images: RGB ``(n, H, W, 3)`` in [0, 255].
        sigma: as in `saliency_maps`.

    Returns:
        float32 ``(n, H, W)``, >= 0, in units of the target per gray level.
    """
    magnitudes = np.abs(comparer.gradients(images, references, target)[1]).mean(-1)
    return smooth(magnitudes, sigma * magnitudes.shape[1]) if sigma else magnitudes


def saliency_maps(model, images, references, sigma=SIGMA, target=None, reduction="mean"):
    """`maps` of a two-input model and embedded references.

    The score is that of `fsad.scoring.compare`; the paper's is the mean dissimilarity to the references. The
    gradient of a similarity has the same magnitude.

    Args:
        model: a two-input model.
        images: RGB ``(n, side, side, 3)`` in [0, 255].
        references: embeddings ``(r, ...)`` from `fsad.scoring.embed_references`.
        sigma: standard deviation of the Gaussian kernel as a fraction of the side; the kernel is truncated at
            3 sigma, borders are reflected. The paper smooths but states no kernel; 0.02 is our choice (2 pixels
            of 100). 0 skips smoothing.
        target: callable from dissimilarities ``(n, r)`` to the values ``(n,)`` that are differentiated; the
            score if None.
        reduction: from the dissimilarities to the score, as in `fsad.scoring.compare`.

    Returns:
        float32 ``(n, side, side)``, >= 0, in units of score per gray level. All zero where the sigmoid
        is saturated beyond float32.

    Raises:
        ValueError: no image.
    """
    of = "different" if target is None else lambda comparison: target(comparison.per_reference)
    return maps(Comparer(model, reduction), images, References(None, references), of, sigma)


def smooth(maps, sigma):
    """Gaussian smoothing of maps ``(n, H, W)``; ``sigma`` in pixels, truncated at 3 sigma, reflected borders."""
    size = 2 * int(np.ceil(3 * sigma)) + 1
    return np.stack([cv2.GaussianBlur(m, (size, size), sigma, borderType=cv2.BORDER_REFLECT) for m in maps])
