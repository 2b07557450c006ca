"""Class activation maps: sums of the feature maps A_k of one layer of the backbone, weighted by what raises a target y.

Weights of the feature maps, by ``method``, with g = dy / dA:

- ``"gradcam"``: the mean of g over the positions (Selvaraju et al. 2017; equation 1 of Livieris et al. 2023)
- ``"gradcam++"``: the sum of a max(g, 0), a = g^2 / (2 g^2 + g^3 sum(A)) (Chattopadhyay et al. 2018)
- ``"xgradcam"``: the sum of g A, divided by the sum of A (Fu et al. 2020)
- ``"layercam"``: max(g, 0) of each position, which is its own weight (Jiang et al. 2021)
- ``"scorecam"``: the softmax of the gain in the target when the image is masked with the feature map, relative to
  a black image (Wang et al. 2020). It takes one pass of the backbone per feature map and image, so minutes. Its
  weights are positive, so after a ReLU the maps for and against a target differ in emphasis only

`fsad.explain.gradcam.pair_maps` has them for both images of a pair; those here are of a score.
"""

import cv2
import keras
import numpy as np
import tensorflow as tf

from fsad import scoring, siamese
from fsad.explain.comparer import target_of

BY_GRADIENT = ("gradcam", "xgradcam", "gradcam++", "layercam")
METHODS = (*BY_GRADIENT, "scorecam")
CHANNELS = 64  # feature maps that Score-CAM tries


def maps(comparer, images, references, target="different", method="gradcam", layer=None):
    """`score_maps` of a `fsad.explain.comparer.Comparer`."""
    return score_maps(comparer.model, images, references.embeddings, comparer.reduction, layer, method, target=target)


def score_maps(
    model,
    images,
    references,
    reduction="mean",
    layer=None,
    method="gradcam",
    batch_size=16,
    target=None,
):
    """Maps of what raises the score of images against embedded references.

    Args:
        model: a two-input model.
        images: RGB ``(n, H, W, 3)`` in [0, 255].
        references: embeddings ``(r, ...)`` from `fsad.scoring.embed_references`.
        reduction: from the dissimilarities to the score, as in `fsad.scoring.compare`.
        layer: name of a layer of the backbone; its output if None.
        method: one of `BY_GRADIENT`.
        batch_size: images per batch.
        target: what is explained, as in `fsad.explain.comparer`; the score if None.

    Returns:
        float32 ``(n, h, w)``, values >= 0, not scaled.

    Raises:
        ValueError: no such layer or method, a layer without feature maps, or no image.
    """
    backbone, neck, _ = siamese.parts(model)
    features_of = probe(backbone, layer, method, BY_GRADIENT)
    if not len(images):
        raise ValueError("Expected at least one image. Received: none")
    references, of = tf.convert_to_tensor(references, tf.float32), target_of(target or "different")
    batches = []
    for k in range(0, len(images), batch_size):
        batch = tf.convert_to_tensor(np.asarray(images[k : k + batch_size], np.float32))
        with tf.GradientTape() as tape:
            tape.watch(batch)
            feature_maps, features = features_of(batch, training=False)
            embeddings = tf.cast(neck(features, training=False), tf.float32)
            value = of(scoring.compare(model, embeddings, references, reduction))
        by_place = weights(feature_maps, tape.gradient(value, feature_maps), method)
        batches.append(tf.nn.relu(weighted_sum(feature_maps, by_place)).numpy())
    return np.concatenate(batches)


def scorecam_maps(comparer, images, references, target="different", layer=None, channels=CHANNELS):
    """Score-CAM of a score.

    Args:
        comparer, references, target: as in `fsad.explain.comparer`.
        images: RGB ``(n, H, W, 3)`` in [0, 255].
        layer: as in `score_maps`.
        channels: how many feature maps are tried, those that vary most over the image; None for all, as in the paper.

    Returns:
        float32 ``(n, h, w)``, values >= 0, not scaled.
    """
    images = np.asarray(images, np.float32)
    features_of = probe(siamese.parts(comparer.model).backbone, layer, "scorecam", METHODS)
    black = comparer.values(np.zeros_like(images[:1]), references, target)
    maps = []
    for image in images:
        feature_maps = features_of(image[None], training=False)[0].numpy()
        chosen = np.sort(feature_maps[0].std((0, 1)).argsort()[::-1][:channels])
        masks = unit_range(feature_maps[0][..., chosen], images.shape[1:3])
        gains = comparer.values(image * masks[..., None], references, target) - black
        maps.append(weighted_sum(feature_maps[..., chosen], tf.nn.softmax(gains)))
    return tf.nn.relu(tf.concat(maps, 0)).numpy()


def probe(backbone, layer, method, methods):
    """Images -> the feature maps of a layer, and the output of the backbone."""
    names = [each.name for each in backbone.layers]
    if method not in methods:
        raise ValueError(f"Expected a method among {', '.join(methods)}. Received: {method!r}")
    if layer is not None and layer not in names:
        raise ValueError(f"Expected a layer of the backbone: {', '.join(names)}. Received: {layer!r}")
    output = backbone.output if layer is None else backbone.get_layer(layer).output
    if len(output.shape) != 4:
        raise ValueError(f"Expected a layer of feature maps (h, w, channels). Received: {layer!r}, {output.shape}")
    return keras.Model(backbone.input, [output, backbone.output])


def weights(feature_maps, gradient, method):
    """Weight of each feature map, ``(n, 1, 1, channels)``, or of each of its positions, ``(n, h, w, channels)``."""
    if method == "gradcam":
        return tf.reduce_mean(gradient, (1, 2), keepdims=True)
    if method == "xgradcam":
        total = tf.reduce_sum(feature_maps, (1, 2), keepdims=True)
        return tf.math.divide_no_nan(tf.reduce_sum(gradient * feature_maps, (1, 2), keepdims=True), total)
    positive = tf.nn.relu(gradient)
    if method == "layercam":
        return positive
    # a max(g, 0) without the cubes, which would underflow: g^2 cancels.
    total = tf.reduce_sum(feature_maps, (1, 2), keepdims=True)
    return tf.reduce_sum(positive / (2 + positive * total), (1, 2), keepdims=True)


def weighted_sum(feature_maps, by_place):
    """Feature maps ``(n, h, w, channels)`` with their `weights` -> ``(n, h, w)``."""
    return tf.reduce_sum(feature_maps * by_place, axis=-1)


def unit_range(feature_maps, size):
    """Feature maps ``(h, w, channels)`` -> ``(channels, H, W)``, each stretched to [0, 1]; a flat one is 0."""
    low, high = feature_maps.min((0, 1)), feature_maps.max((0, 1))
    stretched = (feature_maps - low) / np.where(high > low, high - low, 1)
    return np.stack([cv2.resize(one, size[::-1]) for one in np.moveaxis(stretched, -1, 0).astype(np.float32)])
