"""SINEX and SINEXC: what one segment of an image contributes to its comparison (Fedele, Guidotti and Pedreschi,
*Explaining Siamese networks in few-shot learning for audio data*, Discovery Science 2022; *Explaining Siamese networks
in few-shot learning*, Machine Learning 2024, doi 10.1007/s10994-024-06529-8).

By the authors' public code (github.com/andreafedele/SINEX, ``code/sinex.py`` and ``sinexc.py``), for each member of the
support set: cut it into segments; let v be its similarity with the query; switch segments off and let u be the
similarity then; a segment contributes ``(v - u)`` divided by the number of pixels that stay on.

- *SINEX*: all segments but this one are off.
- *SINEXC*: alpha random sets of segments, each on with probability beta, this one always; u is their mean.

Our reading:

- The query is cut and perturbed, not the support: a user asks where the image at hand differs. ``(v - u)`` of
  similarities is ``(u - v)`` of dissimilarities, so a contribution is high where the segment keeps the image different.
  For the other image of a pair, exchange the two.
- A score already sums up the comparisons with all references, so there is one map, not one for each.
- What is off shows the nearest reference (`fsad.explain.segments.filled`); the code takes silence.
- SINEXC counts a random set for every segment that is on in it: alpha sets in place of alpha sets a segment, with the
  same expectation. A segment is divided by its own pixels, where the code takes those of its last random set.
"""

import numpy as np

from fsad.explain import segments


def maps(comparer, images, references, target="different", count=36, fill="reference"):
    """SINEX: ``(y(segment alone) - y(image)) / pixels`` of each segment.

    Args:
        comparer, references, target: as in `fsad.explain.comparer`.
        images: uint8 RGB ``(n, H, W, 3)``.
        count, fill: as in `fsad.explain.segments`.

    Returns:
        float32 ``(n, H, W)``, of any sign, in units of the target per pixel. Negative nearly everywhere: one segment
        alone rarely differs as much as the whole image. Only the order of the segments counts.
    """
    return _maps(comparer, images, references, target, count, fill, np.eye)


def coalition_maps(
    comparer, images, references, target="different", count=36, fill="reference", alpha=64, beta=0.5, seed=0
):
    """SINEXC: ``(mean of y over the random sets that hold a segment - y(image)) / pixels`` of each segment.

    Args:
        comparer, images, references, target, count, fill: as in `maps`.
        alpha: random sets of segments.
        beta: the probability of a segment to be on, in (0, 1).
        seed: of the sets, the same for all images.

    Returns:
        As `maps`. A segment that is on in no set contributes as the mean of the others.

    Raises:
        ValueError: beta out of range.
    """
    if not 0 < beta < 1:
        raise ValueError(f"Expected beta in (0, 1). Received: {beta}")

    def sets(number):
        return np.random.default_rng(seed).random((alpha, number)) < beta

    return _maps(comparer, images, references, target, count, fill, sets)


def _maps(comparer, images, references, target, count, fill, sets):
    whole = comparer.values(images, references, target)
    importances = []
    others = segments.filled(comparer, images, references, fill)
    for image, other, value in zip(images, others, whole, strict=True):
        labels = segments.slic(image, count)
        on = np.asarray(sets(labels.max() + 1), bool)
        values = comparer.values(segments.switched(image, other, labels, on), references, target)
        counts = on.sum(0)
        means = np.where(counts > 0, values @ on / np.maximum(counts, 1), values.mean())
        importances.append(segments.spread((means - value) / np.bincount(labels.ravel()), labels))
    return np.stack(importances)
