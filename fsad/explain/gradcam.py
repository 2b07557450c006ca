"""Class activation maps of a comparison, for both images (Livieris et al. 2023, section 3).

A map is a weighted sum of the feature maps A_k of one layer of the backbone; each image of the pair has its own
features and gradients. With the target y, positive values support it (the *factual* map). The same with the target
1 - y gives the evidence against it (the *counterfactual* map). For Grad-CAM the counterfactual map is the negative
part of the same sum, because the gradient of 1 - y is minus that of y. In the paper y is the output, the dissimilarity
d, for every pair, whatever the verdict (equation 1, and the public code).

The weights of the feature maps are those of a ``method`` of `fsad.explain.cams`.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from fsad import siamese
from fsad.explain import cams
from fsad.explain.cams import METHODS

TARGETS = {
    "verdict": lambda d: tf.where(d > 0.5, d, 1 - d),
    "different": lambda d: d,
    "same": lambda d: 1 - d,
}


class Explanation(NamedTuple):
    """Maps of n pairs; the second axis is the image of the pair.

    Where the output is a distance, a feature that both images show is in the factual map of one image and in the
    counterfactual map of the other, depending on which shows more of it.

    Attributes:
        output: dissimilarity ``(n,)``.
        raw, raw_counterfactual: the weighted sums ``(n, 2, h, w)``, of any sign.
        factual, counterfactual: their positive part, each map divided by its maximum: in [0, 1]. All zero if nothing
            is positive or the output has no gradient: a sigmoid saturated beyond float32, or a clipped distance.
        magnitude: ``|raw|``, scaled likewise: all that the verdict depends on, for or against.
    """

    output: np.ndarray
    raw: np.ndarray
    raw_counterfactual: np.ndarray

    @property
    def factual(self):
        return _rectified(self.raw)

    @property
    def counterfactual(self):
        return _rectified(self.raw_counterfactual)

    @property
    def magnitude(self):
        return _rectified(np.abs(self.raw))


def pair_maps(model, first, second, target="different", layer=None, method="gradcam", batch_size=16):
    """Explains the comparison of image pairs.

    Args:
        model: a two-input model, before or after saving.
        first, second: RGB ``(n, side, side, 3)`` in [0, 255]; the k-th of one is compared with the k-th of the other.
        target: what is explained: ``"different"`` (the dissimilarity d, the y of the paper's formula), ``"same"``
            (1 - d), ``"verdict"`` (d if it is above 0.5, else 1 - d); or a callable from d ``(n,)`` to y ``(n,)``, made
            of differentiable operations, each pair on its own.
        layer: name of a layer of the backbone; its output if None, which is the paper's last convolution.
        method: one of `METHODS`.
        batch_size: pairs per batch.

    Returns:
        An `Explanation`.

    Raises:
        ValueError: no such target, layer or method, a layer without feature maps, or images that do not form pairs.
    """
    backbone = siamese.parts(model).backbone
    probe = cams.probe(backbone, layer, method, METHODS)
    if not callable(target):
        if target not in TARGETS:
            raise ValueError(f"Expected a target among {', '.join(TARGETS)}, or a callable. Received: {target!r}")
        target = TARGETS[target]
    shapes, expected = (np.shape(first), np.shape(second)), backbone.input_shape[1:]
    if not len(first) or shapes[0] != shapes[1] or shapes[0][1:] != expected:
        raise ValueError(f"Expected pairs of images (n, {', '.join(map(str, expected))}). Received: {shapes}")
    weighted_sums = _by_score if method == "scorecam" else _by_gradient
    batches = []
    for k in range(0, len(first), batch_size):
        images = np.concatenate([first[k : k + batch_size], second[k : k + batch_size]]).astype(np.float32)
        output, sums = weighted_sums(model, probe, tf.constant(images), target, method)
        sums = np.asarray(sums)  # (2, 2n, h, w): for y and 1 - y
        pairs = len(images) // 2
        batches.append((np.asarray(output), *(np.stack([s[:pairs], s[pairs:]], 1) for s in sums)))
    return Explanation(*(np.concatenate(field) for field in zip(*batches, strict=True)))


def _dissimilarity(model, features):
    """Dissimilarity ``(n,)`` from the features of 2n images, all first ones before all second ones."""
    _, neck, distance = siamese.parts(model)
    sides = tf.split(tf.cast(neck(features, training=False), tf.float32), 2)
    return distance(sides, training=False)[:, 0]


def _by_gradient(model, probe, images, target, method):
    """``(dissimilarity (n,), weighted sums (2n, h, w) for y and for 1 - y)`` of 2n images."""
    with tf.GradientTape() as tape:
        tape.watch(images)  # a frozen backbone has no variable that would be watched
        maps, features = probe(images, training=False)
        output = _dissimilarity(model, features)
        y = target(output)
    # One gradient for all images: y of a pair depends on the maps of that pair alone.
    gradient = tape.gradient(y, maps)
    return output, [cams.weighted_sum(maps, cams.weights(maps, g, method)) for g in (gradient, -gradient)]


def _by_score(model, probe, images, target, method, block=32):
    """As `_by_gradient`, with the weights of Score-CAM."""
    backbone, neck, distance = siamese.parts(model)
    maps, features = probe(images, training=False)
    output, maps = _dissimilarity(model, features), maps.numpy()
    pairs, side = len(images) // 2, images.shape[1:3]

    def embed(batch):
        return tf.cast(neck(backbone(batch, training=False), training=False), tf.float32)

    embeddings, black = embed(images), embed(tf.zeros_like(images[:1]))
    weights = []
    for k in range(2 * pairs):
        is_first = k < pairs
        partner = embeddings[k + pairs if is_first else k - pairs][None]

        def value(masked, partner=partner, is_first=is_first):
            partners = tf.repeat(partner, len(masked), 0)
            return target(distance([masked, partners] if is_first else [partners, masked], training=False)[:, 0])

        starts = range(0, maps.shape[-1], block)
        blocks = (cams.unit_range(maps[k][..., start : start + block], side) for start in starts)
        gains = [value(embed(images[k][None] * masks[..., None])) for masks in blocks]
        weights.append(tf.concat(gains, 0) - value(black))
    weights = tf.stack(weights)
    # 1 - y gains what y loses.
    return output, [cams.weighted_sum(maps, tf.nn.softmax(w)[:, None, None]) for w in (weights, -weights)]


def _rectified(raw):
    """The positive part, each map divided by its maximum."""
    positive = np.maximum(raw, 0)
    top = positive.max((-2, -1), keepdims=True)
    return np.divide(positive, top, out=np.zeros_like(positive), where=top > 0)
