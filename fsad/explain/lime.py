"""LIME for pairs: a linear model of what each segment of the image adds to its distance from the references.

Senarathna and Wijesinghe (2025, section III.C) hold that LIME (Ribeiro et al. 2016) cannot be applied to a Siamese
network, since no class score belongs to a single image. The distance to fixed references is such a score: perturb one
image, leave the references, explain the distance.
"""

import numpy as np

from fsad.explain import segments

WIDTH = 0.25  # of the kernel


def maps(comparer, images, references, target="different", samples=64, count=36, fill="reference", seed=0):
    """Coefficients of a ridge regression of the target on which segments are on.

    As the authors' package does for images: half of the segments are on, at random; the first sample is the image
    itself; samples are weighted by ``sqrt(exp(-d^2 / width^2))``, d their cosine distance from all on, width 0.25; the
    ridge penalty is 1. Ours: fewer samples, SLIC in place of quickshift, and what a segment is switched off to.

    Args:
        comparer, references, target: as in `fsad.explain.comparer`.
        images: uint8 RGB ``(n, H, W, 3)``.
        samples: perturbed copies of each image.
        count, fill: as in `fsad.explain.segments`.
        seed: of the perturbations, the same for all images.

    Returns:
        float32 ``(n, H, W)``, of any sign, in units of the target.
    """
    from sklearn.linear_model import Ridge  # a second to import, which few callers need

    weighed = []
    for image, other in zip(images, segments.filled(comparer, images, references, fill), strict=True):
        labels = segments.slic(image, count)
        on = np.random.default_rng(seed).integers(0, 2, (samples, labels.max() + 1))
        on[0] = 1
        values = comparer.values(segments.switched(image, other, labels, on), references, target)
        distance = 1 - np.sqrt(on.mean(1))  # the cosine of m of k segments and of all is sqrt(m / k)
        weights = np.sqrt(np.exp(-(distance**2) / WIDTH**2))
        weighed.append(segments.spread(Ridge(alpha=1.0).fit(on, values, weights).coef_, labels))
    return np.stack(weighed)
