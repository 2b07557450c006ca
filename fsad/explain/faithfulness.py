"""Whether an explanation can be trusted: measures of maps, against defect masks and without them.

Against masks: `pixel_auroc`, `pointing_game`, `relevance_mass`, `relevance_rank`; and `fsad.metrics.aupro` of several
maps. Beside each belongs that of the mean of all maps, which knows the usual place of defects and nothing of the image.

Without masks: `deletion_and_insertion`, `cascading_randomisation`, `reference_randomisation`, `stability` and
`completeness`. Each has a plain reading; none of them alone is proof. `fsad.explain.controls` are maps that have to be
beaten.

A map is ``(h, w)``, higher where a place speaks more for the target; it is resized to the mask or the image.
"""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.stats import rankdata

from fsad import metrics, siamese
from fsad.explain import segments
from fsad.layers import Distance

SIDE = 32  # cells a side at which two maps are compared


class Curves(NamedTuple):
    """``deletion`` and ``insertion``: areas under the value of the target, ``(n,)``; ``gain``, insertion less deletion:
    the higher the better, 0 for a map that orders the pixels at random."""

    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def gain(self):
        return self.insertion - self.deletion


def resized(one, shape):
    """A map as float32 ``shape`` = ``(height, width)``, bilinearly."""
    return cv2.resize(np.asarray(one, np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)


def pixel_auroc(one, mask):
    """P(a pixel of the defect has a higher value than one outside), ties half (`fsad.metrics.auroc`); 0.5 is chance.

    Args:
        one: a map.
        mask: bool ``(H, W)``, neither empty nor full.
    """
    return metrics.auroc(_mask(mask).ravel(), resized(one, mask.shape).ravel())


def pointing_game(one, mask):
    """1 if the highest value lies in the mask, else 0 (Zhang et al. 2018); the fraction that does, of several highest.

    Without the tolerance of 15 pixels of the paper, which is wider than a scratch.
    """
    mask, one = _mask(mask), resized(one, mask.shape)
    return float(mask[one == one.max()].mean())


def relevance_mass(one, mask):
    """The sum of the positive values in the mask over that of all (Arras et al. 2022, *relevance mass accuracy*).

    In [0, 1]; a flat map has the fraction that the mask covers, a map without a positive value 0.
    """
    mask, positive = _mask(mask), np.maximum(resized(one, mask.shape), 0).astype(np.float64)
    return float(positive[mask].sum() / positive.sum()) if positive.any() else 0.0


def relevance_rank(one, mask):
    """Of the k highest values, k the pixels of the mask, the fraction in it (Arras et al. 2022, *relevance rank
    accuracy*). In [0, 1]; of values that tie for the last places, each counts in part."""
    mask, one = _mask(mask), resized(one, mask.shape)
    count = int(mask.sum())
    limit = np.partition(one.ravel(), -count)[-count]
    above, tied = one > limit, one == limit
    return float((mask[above].sum() + mask[tied].mean() * (count - above.sum())) / count)


def deletion_and_insertion(comparer, images, references, maps, fill="blur", steps=10, target="different"):
    """How fast the target falls as the places that matter most are removed, and rises as they are put back (Petsiuk et
    al. 2018, RISE).

    Pixels go in the order of the map, in equal steps, to what stands in for them; *deletion* starts from the image,
    *insertion* from the fill. Areas are by the trapezoid rule over the fraction of the pixels. A gain is in units of
    the target: divide by its spread to compare networks.

    Args:
        comparer, references, target: as in `fsad.explain.comparer`.
        images: RGB ``(n, H, W, 3)`` in [0, 255].
        maps: of the images, ``(n, h, w)``.
        fill: ``"blur"`` or ``"reference"``, the nearest reference image (`fsad.explain.segments.filled`): what looks
            unlike anything the network knows would itself be an anomaly.
        steps: equal steps.

    Returns:
        `Curves`.
    """
    others = segments.filled(comparer, images, references, fill)
    curves = []
    for image, other, one in zip(np.asarray(images, np.float32), others, maps, strict=True):
        # A flat map has no order: then at random, as where values tie.
        order = np.lexsort(
            (np.random.default_rng(0).random(image[..., 0].size), -resized(one, image.shape[:2]).ravel())
        )
        rank = np.empty(order.size)
        rank[order] = np.arange(order.size) / order.size
        places = np.linspace(0, 1, steps + 1)
        first = rank.reshape(image.shape[:2]) < places[:, None, None]
        deleted = np.where(first[..., None], other, image)
        inserted = np.where(first[..., None], image, other)
        values = comparer.values(np.concatenate([deleted, inserted]), references, target).reshape(2, -1)
        curves.append(np.trapezoid(values, places, axis=1))
    return Curves(*np.transpose(curves))


def cascading_randomisation(comparer, images, references, maps, explain, rng, stages=3):
    """How much of a map is left once the network has forgotten what it learned (Adebayo et al. 2018, section 3).

    The weights of the layers are shuffled, each tensor within itself, from the output down to the input, in as many
    stages; the references are embedded anew. What a `fsad.nearest_patch.NearestPatch` was fitted to stays: it holds no
    features. A map that stays is one of the image, not of the network.

    Args:
        comparer: its model is changed, and restored at the end.
        references: `fsad.explain.comparer.References` with their images.
        maps: of the images, by the network as it is.
        explain: ``(comparer, images, references) -> maps``, by which they were made.
        rng: an ``np.random.Generator``.
        stages: parts of the layers that are shuffled in turn.

    Returns:
        Rank correlations with the map of the trained network (`rank_correlation`), ``(stages, n)``; low is good, at the
        last stage above all.
    """
    model, correlations = comparer.model, []
    layers = [layer for part in reversed(siamese.parts(model)) for layer in reversed(part.layers)]
    layers = [layer for layer in layers if layer.weights and not isinstance(layer, Distance)]
    weights = model.get_weights()
    try:
        for some in np.array_split(np.arange(len(layers)), stages):
            for k in some:
                layers[k].set_weights([_shuffled(values, rng) for values in layers[k].get_weights()])
            known = comparer.references(references.images)
            correlations.append(rank_correlation(maps, explain(comparer, images, known)))
    finally:
        model.set_weights(weights)
    return np.stack(correlations)


def reference_randomisation(comparer, images, others, maps, explain):
    """How much of a map is left once the image is compared with something else.

    A sanity check for comparisons, ours after Adebayo et al. (2018): an explanation of why an image differs from its
    references has to change with them.

    Args:
        others: `fsad.explain.comparer.References` of other things.
        maps, explain: as in `cascading_randomisation`.

    Returns:
        Rank correlations ``(n,)``; low is good.
    """
    return rank_correlation(maps, explain(comparer, images, others))


def stability(comparer, images, references, maps, explain, shift=2, brightness=1.05):
    """Whether a map stays when the image changes by what no one would notice (after Alvarez-Melis and Jaakkola 2018).

    Args:
        maps, explain: as in `cascading_randomisation`.
        shift: pixels, down and to the right; the border is repeated, and the map is shifted back before it is compared.
        brightness: factor.

    Returns:
        Rank correlations ``(shifted, brighter)`` with the map of the image as it is, ``(n,)`` each; high is good.
    """
    size, margin = images.shape[1:3], ((0, 0), (shift, 0), (shift, 0), (0, 0))
    moved = np.pad(images, margin, mode="edge")[:, : size[0], : size[1]]
    bright = np.clip(np.asarray(images, np.float32) * brightness, 0, 255).astype(images.dtype)
    back = [resized(one, size)[shift:, shift:] for one in explain(comparer, moved, references)]
    common = [resized(one, size)[: size[0] - shift, : size[1] - shift] for one in maps]
    return rank_correlation(common, back), rank_correlation(maps, explain(comparer, bright, references))


def completeness(attributions, change):
    """``|sum of the attributions - change| / |change|``: 0 where an explanation accounts for all that it explains
    (Sundararajan et al. 2017, axiom of completeness).

    Args:
        attributions: of n images, ``(n, ...)``, of any sign.
        change: ``(n,)``, by which the target of each differs from that of its baseline.
    """
    attributions, change = np.asarray(attributions, np.float64), np.asarray(change, np.float64)
    sums = attributions.reshape(len(attributions), -1).sum(1)
    return np.abs(sums - change) / np.maximum(np.abs(change), 1e-12)


def rank_correlation(maps, others):
    """Spearman's rank correlation of each map with another one, both as `SIDE` x `SIDE` cells; 0 where one is flat.

    Returns:
        ``(n,)`` in [-1, 1].
    """
    correlations = []
    for pair in zip(maps, others, strict=True):
        cells = [cv2.resize(np.asarray(one, np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in pair]
        first, second = (rankdata(one) - (one.size + 1) / 2 for one in cells)
        norm = np.sqrt((first**2).sum() * (second**2).sum())
        correlations.append((first * second).sum() / norm if norm > 0 else 0.0)
    return np.array(correlations)


def _mask(mask):
    mask = np.asarray(mask, bool)
    if mask.all() or not mask.any():
        raise ValueError(
            f"Expected a mask that is neither empty nor full. Received: {mask.sum()} of {mask.size} pixels"
        )
    return mask


def _shuffled(values, rng):
    values = np.asarray(values)
    return rng.permutation(values.ravel()).reshape(values.shape)
