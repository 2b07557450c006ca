"""SmoothGrad: the mean gradient of noisy copies of an image (Smilkov et al. 2017)."""

import numpy as np

from fsad.explain.saliency import SIGMA, smooth


def maps(comparer, images, references, target="different", samples=8, noise=0.15, sigma=SIGMA, seed=0):
    """``|mean_k d y(x + e_k) / d x|``, averaged over the channels, with Gaussian noise e_k; then smoothed.

    Args:
        comparer, references, target: as in `fsad.explain.comparer`.
        images: RGB ``(n, H, W, 3)`` in [0, 255].
        samples: noisy copies of each image. The paper takes 50; 8 are our choice, for the time.
        noise: deviation of the noise, as a fraction of the range of the image's values; the paper's 10 to 20 %.
        sigma: as in `fsad.explain.saliency.saliency_maps`; 0 skips smoothing.
        seed: of the noise, the same for all images.

    Returns:
        float32 ``(n, H, W)``, >= 0, in units of the target per gray level.
    """
    noises = np.random.default_rng(seed).normal(0, 1, (samples, *images.shape[1:])).astype(np.float32)
    averaged = []
    for image in np.asarray(images, np.float32):
        noisy = image + noise * np.ptp(image) * noises
        averaged.append(np.abs(comparer.gradients(noisy, references, target)[1].mean(0)).mean(-1))
    return smooth(np.stack(averaged), sigma * images.shape[1]) if sigma else np.stack(averaged)
