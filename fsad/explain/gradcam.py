"""Class activation maps of a comparison, for both images (Livieris et al. 2023, section 3).

A map is a weighted sum of the feature maps A_k of one layer of the backbone; each image of the pair has its own
features and gradients. With the target y, positive values support it (the *factual* map). The same with the target
1 - y gives the evidence against it (the *counterfactual* map). For Grad-CAM the counterfactual map is the negative
part of the same sum, because the gradient of 1 - y is minus that of y. In the paper y is the output, the dissimilarity
d, for every pair, whatever the verdict (equation 1, and the public code).

Weights of the feature maps, by ``method``, with g = dy / dA:

- ``"gradcam"``: the mean of g over the positions (Selvaraju et al. 2017; equation 1 of the paper)
- ``"xgradcam"``: the sum of g A, divided by the sum of A (Fu et al. 2020)
- ``"gradcam++"``: the sum of a max(g, 0), a = g^2 / (2 g^2 + g^3 sum(A)) (Chattopadhyay et al. 2018)
- ``"scorecam"``: the softmax of the gain in the target when the image is masked with the feature map, relative to
  a black image (Wang et al. 2020). It takes one pass of the backbone per feature map and image, so minutes. Its
  weights are positive, so after a ReLU the factual and the counterfactual map differ in emphasis only
"""

from typing import NamedTuple

import cv2
import keras
import numpy as np
import tensorflow as tf

from fsad import scoring, siamese

METHODS = ("gradcam", "xgradcam", "gradcam++", "scorecam")
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
    probe = _probe(backbone, layer, method, METHODS)
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


def score_maps(model, images, references, reduction="mean", layer=None, method="gradcam", batch_size=16):
    """Maps of what raises the score of images against embedded references.

    The factual map of the image, with the score of `fsad.scoring.compare` as the target.

    Args:
        model, layer, batch_size: as in `pair_maps`.
        images: RGB ``(n, side, side, 3)`` in [0, 255].
        references: embeddings ``(r, ...)`` from `fsad.scoring.embed_references`.
        reduction: from the dissimilarities to the score, as in `fsad.scoring.compare`.
        method: one of `METHODS` except ``"scorecam"``.

    Returns:
        float32 ``(n, h, w)``, values >= 0, not scaled.

    Raises:
        ValueError: no such layer or method, a layer without feature maps, or no image.
    """
    backbone, neck, _ = siamese.parts(model)
    probe = _probe(backbone, layer, method, METHODS[:-1])
    if not len(images):
        raise ValueError("Expected at least one image. Received: none")
    references = tf.convert_to_tensor(references, tf.float32)
    batches = []
    for k in range(0, len(images), batch_size):
        batch = tf.convert_to_tensor(np.asarray(images[k : k + batch_size], np.float32))
        with tf.GradientTape() as tape:
            tape.watch(batch)
            maps, features = probe(batch, training=False)
            embeddings = tf.cast(neck(features, training=False), tf.float32)
            score = scoring.compare(model, embeddings, references, reduction).score
        weights = _weights(maps, tape.gradient(score, maps), method)
        batches.append(tf.nn.relu(_weighted_sum(maps, weights)).numpy())
    return np.concatenate(batches)


def _probe(backbone, layer, method, methods):
    """Images -> the feature maps of a layer, and the output of the backbone."""
    names = [each.name for each in backbone.layers]
    if method not in methods:
        raise ValueError(f"Expected a method among {', '.join(methods)}. Received: {method!r}")
    if layer is not None and layer not in names:
        raise ValueError(f"Expected a layer of the backbone: {', '.join(names)}. Received: {layer!r}")
    maps = backbone.output if layer is None else backbone.get_layer(layer).output
    if len(maps.shape) != 4:
        raise ValueError(f"Expected a layer of feature maps (h, w, channels). Received: {layer!r}, {maps.shape}")
    return keras.Model(backbone.input, [maps, backbone.output])


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
    return output, [_weighted_sum(maps, _weights(maps, g, method)) for g in (gradient, -gradient)]


def _weights(maps, gradient, method):
    """Weight of each feature map: ``(n, channels)``."""
    if method == "gradcam":
        return tf.reduce_mean(gradient, (1, 2))
    if method == "xgradcam":
        return tf.math.divide_no_nan(tf.reduce_sum(gradient * maps, (1, 2)), tf.reduce_sum(maps, (1, 2)))
    # a max(g, 0) without the cubes, which would underflow: g^2 cancels.
    positive = tf.nn.relu(gradient)
    return tf.reduce_sum(positive / (2 + positive * tf.reduce_sum(maps, (1, 2), keepdims=True)), (1, 2))


def _weighted_sum(maps, weights):
    return tf.einsum("nhwc,nc->nhw", maps, weights)


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

        masks = _unit_range(maps[k])
        gains = []
        for start in range(0, maps.shape[-1], block):
            resized = np.stack([cv2.resize(m, side[::-1]) for m in masks[start : start + block]])
            gains.append(value(embed(images[k][None] * resized[..., None])))
        weights.append(tf.concat(gains, 0) - value(black))
    weights = tf.stack(weights)
    # 1 - y gains what y loses.
    return output, [_weighted_sum(maps, tf.nn.softmax(w)) for w in (weights, -weights)]


def _unit_range(maps):
    """Feature maps ``(h, w, channels)`` -> ``(channels, h, w)``, each stretched to [0, 1]; a flat one is 0."""
    low, high = maps.min((0, 1)), maps.max((0, 1))
    return np.moveaxis((maps - low) / np.where(high > low, high - low, 1), -1, 0).astype(np.float32)


def _rectified(raw):
    """The positive part, each map divided by its maximum."""
    positive = np.maximum(raw, 0)
    top = positive.max((-2, -1), keepdims=True)
    return np.divide(positive, top, out=np.zeros_like(positive), where=top > 0)
