"""Class activation maps of a comparison, for both pictures (Livieris et al. 2023, section 3).

A map is a weighted sum of the feature maps A_k of one layer of the backbone, for each picture of the pair with
that picture's own features and gradients. What is above zero speaks for the target (*factual*); the same with
1 - y for the target y speaks against it (*counterfactual*). For Grad-CAM the second is what is below zero in the
first: the gradient of 1 - y is minus that of y.

Weights of the feature maps, by ``method``, with g = dy / dA:

- ``"gradcam"``: the mean of g over the places (Selvaraju et al. 2017; equation 1 of the paper)
- ``"xgradcam"``: the sum of g A, divided by the sum of A (Fu et al. 2020)
- ``"gradcam++"``: the sum of a max(g, 0), a = g^2 / (2 g^2 + g^3 sum(A)) (Chattopadhyay et al. 2018)
- ``"scorecam"``: the softmax of what the target gains when the picture is seen through the map alone, against
  a black picture (Wang et al. 2020): one pass of the backbone for every feature map and picture, so minutes.
  These weights are positive, so after a ReLU factual and counterfactual map differ in emphasis only
"""

from typing import NamedTuple

import cv2
import keras
import numpy as np
import tensorflow as tf

from fsad import siamese

METHODS = ("gradcam", "xgradcam", "gradcam++", "scorecam")
TARGETS = {
    "verdict": lambda d: tf.where(d > 0.5, d, 1 - d),
    "different": lambda d: d,
    "same": lambda d: 1 - d,
}


class Explanation(NamedTuple):
    """Maps of n pairs; the second axis is the picture of the pair.

    ``output``: dissimilarity ``(n,)``; ``raw``, ``raw_counterfactual``: the weighted sums ``(n, 2, h, w)``, of any
    sign; ``factual``, ``counterfactual``: the same above zero, each map divided by its largest value: in [0, 1],
    all zero where nothing is above zero or the output does not move: a sigmoid saturated beyond float32, a distance
    that is cut off; ``magnitude``: ``|raw|``, scaled
    likewise: what the verdict rests on, one way or the other. Where the output is a distance, a feature that both
    pictures have is in the factual map of one and the counterfactual map of the other, whichever has more of it.
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


def gradcam(model, first, second, target="verdict", layer=None, method="gradcam", batch_size=16):
    """Explains the comparison of pictures with pictures.

    Args:
        model: a two-picture model, before or after saving.
        first, second: RGB ``(n, side, side, 3)`` in [0, 255]; the k-th is compared with the k-th.
        target: what is explained: ``"verdict"`` (the dissimilarity d if it is above 0.5, else the similarity
            1 - d), ``"different"`` (d, the y that the paper's formula names), ``"same"`` (1 - d); or a callable
            from d ``(n,)`` to y ``(n,)``, built of differentiable operations, of each pair by itself.
        layer: name of a layer of the backbone; its output if None, which is the paper's last convolution.
        method: one of `METHODS`.
        batch_size: pairs at once.

    Returns:
        An `Explanation`.

    Raises:
        ValueError: unknown target, layer or method, or pictures that are no pairs.
    """
    backbone = siamese.parts(model).backbone
    both = _with_maps(backbone, layer, method, METHODS)
    if not callable(target):
        if target not in TARGETS:
            raise ValueError(f"Expected a target among {', '.join(TARGETS)}, or a callable. Received: {target!r}")
        target = TARGETS[target]
    shapes, expected = (np.shape(first), np.shape(second)), backbone.input_shape[1:]
    if not len(first) or shapes[0] != shapes[1] or shapes[0][1:] != expected:
        raise ValueError(f"Expected pairs of pictures (n, {', '.join(map(str, expected))}). Received: {shapes}")
    weigh = _by_score if method == "scorecam" else _by_gradient
    found = []
    for k in range(0, len(first), batch_size):
        pictures = np.concatenate([first[k : k + batch_size], second[k : k + batch_size]]).astype(np.float32)
        output, sums = weigh(model, both, tf.constant(pictures), target, method)
        sums = np.asarray(sums)  # (2, 2n, h, w): for y and 1 - y
        pairs = len(pictures) // 2
        found.append((np.asarray(output), *(np.stack([s[:pairs], s[pairs:]], 1) for s in sums)))
    return Explanation(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def of_score(model, pictures, references, reduction="mean", layer=None, method="gradcam", batch_size=16):
    """What raises the score of pictures against references that are embedded already.

    The factual map of the picture's side, with the score of `fsad.siamese.against` as target.

    Args:
        model, layer, batch_size: as in `gradcam`.
        pictures: RGB ``(n, side, side, 3)`` in [0, 255].
        references: embeddings ``(r, ...)`` from `fsad.scoring.embed`.
        reduction: of the dissimilarities to the score.
        method: one of `METHODS` but ``"scorecam"``.

    Returns:
        float32 ``(n, h, w)``, values >= 0, not scaled.
    """
    backbone, neck, _ = siamese.parts(model)
    both = _with_maps(backbone, layer, method, METHODS[:-1])
    if not len(pictures):
        raise ValueError("Expected at least one picture. Received: none")
    references = tf.convert_to_tensor(references, tf.float32)
    found = []
    for k in range(0, len(pictures), batch_size):
        batch = tf.convert_to_tensor(np.asarray(pictures[k : k + batch_size], np.float32))
        with tf.GradientTape() as tape:
            tape.watch(batch)
            maps, features = both(batch, training=False)
            embeddings = tf.cast(neck(features, training=False), tf.float32)
            score = siamese.against(model, embeddings, references, reduction)["score"]
        found.append(tf.nn.relu(_sum(maps, _weights(maps, tape.gradient(score, maps), method))).numpy())
    return np.concatenate(found)


def _with_maps(backbone, layer, method, methods):
    """Pictures -> the feature maps of a layer, and the output of the backbone."""
    names = [found.name for found in backbone.layers]
    if method not in methods:
        raise ValueError(f"Expected a method among {', '.join(methods)}. Received: {method!r}")
    if layer is not None and layer not in names:
        raise ValueError(f"Expected a layer of the backbone: {', '.join(names)}. Received: {layer!r}")
    watched = backbone.output if layer is None else backbone.get_layer(layer).output
    if len(watched.shape) != 4:
        raise ValueError(f"Expected a layer of feature maps (h, w, channels). Received: {layer!r}, {watched.shape}")
    return keras.Model(backbone.input, [watched, backbone.output])


def _compared(model, features):
    """Dissimilarity ``(n,)`` from the features of 2n pictures, all first ones before all second ones."""
    _, neck, distance = siamese.parts(model)
    sides = tf.split(tf.cast(neck(features, training=False), tf.float32), 2)
    return distance(sides, training=False)[:, 0]


def _by_gradient(model, both, pictures, target, method):
    with tf.GradientTape() as tape:
        tape.watch(pictures)  # a frozen backbone has no variable that would be watched
        maps, features = both(pictures, training=False)
        output = _compared(model, features)
        y = target(output)
    gradient = tape.gradient(y, maps)
    # Of all pictures at once: y of a pair depends on its own two maps alone.
    return output, [_sum(maps, _weights(maps, g, method)) for g in (gradient, -gradient)]


def _weights(maps, gradient, method):
    """Weight of each feature map: ``(n, channels)``."""
    if method == "gradcam":
        return tf.reduce_mean(gradient, (1, 2))
    if method == "xgradcam":
        return tf.math.divide_no_nan(tf.reduce_sum(gradient * maps, (1, 2)), tf.reduce_sum(maps, (1, 2)))
    # a max(g, 0) without the cubes, which would underflow: g^2 cancels.
    above = tf.nn.relu(gradient)
    return tf.reduce_sum(above / (2 + above * tf.reduce_sum(maps, (1, 2), keepdims=True)), (1, 2))


def _sum(maps, weights):
    return tf.einsum("nhwc,nc->nhw", maps, weights)


def _by_score(model, both, pictures, target, method, block=32):
    backbone, neck, distance = siamese.parts(model)
    maps, features = both(pictures, training=False)
    output, maps = _compared(model, features), maps.numpy()
    pairs, side = len(pictures) // 2, pictures.shape[1:3]

    def embed(some):
        return tf.cast(neck(backbone(some, training=False), training=False), tf.float32)

    known, black = embed(pictures), embed(tf.zeros_like(pictures[:1]))
    weights = []
    for k in range(2 * pairs):
        other = known[k + pairs if k < pairs else k - pairs][None]

        def score(embeddings, other=other, mine=k < pairs):
            others = tf.repeat(other, len(embeddings), 0)
            return target(distance([embeddings, others] if mine else [others, embeddings], training=False)[:, 0])

        masks = _unit_range(maps[k])
        gains = []
        for start in range(0, maps.shape[-1], block):
            seen = np.stack([cv2.resize(m, side[::-1]) for m in masks[start : start + block]])
            gains.append(score(embed(pictures[k][None] * seen[..., None])))
        weights.append(tf.concat(gains, 0) - score(black))
    weights = tf.stack(weights)
    # 1 - y gains what y loses.
    return output, [_sum(maps, tf.nn.softmax(w)) for w in (weights, -weights)]


def _unit_range(maps):
    """Feature maps ``(h, w, channels)`` -> ``(channels, h, w)``, each stretched to [0, 1]; a flat one is 0."""
    low, high = maps.min((0, 1)), maps.max((0, 1))
    return np.moveaxis((maps - low) / np.where(high > low, high - low, 1), -1, 0).astype(np.float32)


def _rectified(raw):
    above = np.maximum(raw, 0)
    top = above.max((-2, -1), keepdims=True)
    return np.divide(above, top, out=np.zeros_like(above), where=top > 0)
