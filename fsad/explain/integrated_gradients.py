"""Integrated gradients (Sundararajan et al. 2017), from the nearest reference image to the image.

The method needs a baseline that shows nothing. A comparison has one by nature, what the image is compared with: the sum
of the map is then by how much the image scores higher than its reference.
"""

import numpy as np


def attributions(comparer, images, references, target="different", steps=16, baselines=None):
    """``(x - x') . integral_0^1 d y(x' + a (x - x')) / d x da`` of each value of the image (equation 1).

    The integral is the midpoint rule. *Completeness*: the attributions of an image sum up to ``y(x) - y(x')``, as far
    as the steps are fine enough; `fsad.explain.faithfulness.completeness` measures how far.

    Args:
        comparer, references, target: as in `fsad.explain.comparer`.
        images: RGB ``(n, H, W, 3)`` in [0, 255].
        steps: gradients on the way from x' to x; the paper takes 20 to 300.
        baselines: images x' ``(n, H, W, 3)``; the nearest reference of each image if None.

    Returns:
        float32 ``(n, H, W, 3)``, of any sign, in units of the target.
    """
    baselines = comparer.nearest(images, references) if baselines is None else baselines
    places = (np.arange(steps, dtype=np.float32)[:, None, None, None] + 0.5) / steps
    summed = []
    for image, baseline in zip(np.asarray(images, np.float32), np.asarray(baselines, np.float32), strict=True):
        gradients = comparer.gradients(baseline + places * (image - baseline), references, target)[1]
        summed.append((image - baseline) * gradients.mean(0))
    return np.stack(summed)


def maps(comparer, images, references, target="different", steps=16, baselines=None):
    """`attributions`, summed over the channels: float32 ``(n, H, W)``, of any sign; arguments as there."""
    return attributions(comparer, images, references, target, steps, baselines).sum(-1)
