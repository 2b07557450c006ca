"""Pixel saliency of a comparison (Senarathna and Wijesinghe 2025, section V.C)."""

import cv2
import numpy as np
import tensorflow as tf

from fsad import siamese

SIGMA = 0.02


def saliency(model, pictures, references, sigma=SIGMA, target=None, batch_size=16, reduction="mean"):
    """``|d score / d pixel|``, averaged over the channels, then smoothed.

    The score is that of `fsad.siamese.against`, the mean dissimilarity to the references in the paper;
    the gradient of a similarity has the same magnitude.

    Args:
        model: a two-picture model.
        pictures: RGB ``(n, side, side, 3)`` in [0, 255].
        references: embeddings ``(r, ...)`` from `fsad.scoring.embed`; embedded once for all pictures.
        sigma: standard deviation of the Gaussian kernel, as a share of the side, cut at 3 sigma, with
            reflected borders. The paper smooths but states no kernel; 0.02 is ours (2 pixels of 100).
            0 leaves the map as it is.
        target: callable from dissimilarities ``(n, r)`` to what is differentiated, ``(n,)``; the score
            if None.
        batch_size: pictures at once.
        reduction: of the dissimilarities to the score.

    Returns:
        float32 ``(n, side, side)``, >= 0, in units of score per gray level. All zero where the sigmoid
        is saturated beyond float32.
    """
    backbone, neck, _ = siamese.parts(model)
    references = tf.convert_to_tensor(references, tf.float32)
    maps = []
    for start in range(0, len(pictures), batch_size):
        batch = tf.convert_to_tensor(np.asarray(pictures[start : start + batch_size], np.float32))
        with tf.GradientTape() as tape:
            tape.watch(batch)
            embeddings = tf.cast(neck(backbone(batch, training=False), training=False), tf.float32)
            found = siamese.against(model, embeddings, references, reduction)
            score = found["score"] if target is None else target(found["dissimilarity"])
        gradient = tape.gradient(score, batch)
        maps.append(tf.reduce_mean(tf.abs(gradient), axis=-1).numpy())
    if not maps:
        raise ValueError("Expected at least one picture. Received: none")
    maps = np.concatenate(maps)
    return smooth(maps, sigma * maps.shape[1]) if sigma else maps


def smooth(maps, sigma):
    """Gaussian smoothing of maps ``(n, H, W)``; ``sigma`` in pixels, kernel cut at 3 sigma, reflected borders."""
    size = 2 * int(np.ceil(3 * sigma)) + 1
    return np.stack([cv2.GaussianBlur(m, (size, size), sigma, borderType=cv2.BORDER_REFLECT) for m in maps])
