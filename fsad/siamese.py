"""A Siamese network is three named parts: backbone, neck, distance.

- ``backbone``: pictures ``(batch, side, side, 3)``, raw RGB in [0, 255] -> feature maps
- ``neck``: feature maps -> embeddings ``(batch, dim)``, or patches of unit length ``(batch, h, w, channels)``
- ``distance``: two embeddings -> dissimilarity ``(batch, 1)`` in [0, 1]; 1 means different

`build` joins them into the two-picture model; `indexed` is a second view on the same parts, the one to
train: each picture is embedded once, whatever the number of its pairs.
"""

from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from fsad import attention
from fsad.layers import CosineDistance, DistanceLayer, EuclideanDistance, NearestPatch

REDUCTIONS = ("mean", "min", "first")
DISTANCES = {"l1": DistanceLayer, "euclidean": EuclideanDistance, "cosine": CosineDistance}


class Parts(NamedTuple):
    backbone: keras.Model
    neck: keras.Model
    distance: keras.Model


def distance_head(dim, distance="l1"):
    """The part ``distance``: a distance layer, then one sigmoid unit (float32 whatever the policy).

    Args:
        dim: length of an embedding.
        distance: ``"l1"`` (`DistanceLayer`, the paper's), ``"euclidean"`` or ``"cosine"``.
    """
    if distance not in DISTANCES:
        raise ValueError(f"Expected a distance among {', '.join(DISTANCES)}. Received: {distance!r}")
    first, second = keras.Input((dim,), name="first"), keras.Input((dim,), name="second")
    apart = DISTANCES[distance](name=distance, dtype="float32")([first, second])
    # One number, that is to grow with the dissimilarity: a random sign would turn the score around for good.
    options = {} if distance == "l1" else {"kernel_initializer": "ones", "kernel_constraint": "non_neg"}
    score = layers.Dense(1, activation="sigmoid", name="dissimilarity", dtype="float32", **options)(apart)
    return keras.Model([first, second], score, name="distance")


def bare_distance(dim):
    """The part ``distance`` without a head: Euclidean, ``(batch, 1)``, >= 0 and not bounded by 1."""
    first, second = keras.Input((dim,), name="first"), keras.Input((dim,), name="second")
    return keras.Model(
        [first, second], EuclideanDistance(name="euclidean", dtype="float32")([first, second]), name="distance"
    )


def clipped_distance(dim):
    """The part ``distance`` of the public code of Livieris et al. (2023): Euclidean, cut off at 1, no head."""
    first, second = keras.Input((dim,), name="first"), keras.Input((dim,), name="second")
    apart = EuclideanDistance(name="euclidean", dtype="float32")([first, second])
    return keras.Model(
        [first, second], layers.ReLU(max_value=1.0, name="dissimilarity", dtype="float32")(apart), name="distance"
    )


def patch_distance(shape, share=0.05, window=1):
    """The part ``distance`` for maps of patches ``shape`` = ``(h, w, channels)``: `NearestPatch`, nothing else."""
    first, second = keras.Input(shape, name="first"), keras.Input(shape, name="second")
    nearest = NearestPatch(share, window, name="nearest_patch")
    return keras.Model([first, second], nearest([first, second]), name="distance")


def build(backbone, neck, distance):
    """The two-picture model: inputs ``anchor`` and ``picture``, output dissimilarity ``(batch, 1)``."""
    for part, name in ((backbone, "backbone"), (neck, "neck"), (distance, "distance")):
        if part.name != name:
            raise ValueError(f"Expected a part named {name!r}. Received: {part.name!r}")
    shape = backbone.input_shape[1:]
    anchor, picture = keras.Input(shape, name="anchor"), keras.Input(shape, name="picture")
    return keras.Model([anchor, picture], distance([neck(backbone(anchor)), neck(backbone(picture))]), name="siamese")


def parts(model):
    """The three parts of a model that `build` made, also after saving and loading."""
    try:
        return Parts(*(model.get_layer(name) for name in Parts._fields))
    except ValueError as error:
        raise ValueError(f"Expected a model with layers {Parts._fields}. Received: {error}") from error


def embedder(model):
    """Pictures -> embeddings, over the parts of ``model``."""
    backbone, neck, _ = parts(model)
    picture = keras.Input(backbone.input_shape[1:], name="picture")
    return keras.Model(picture, neck(backbone(picture)), name="embedder")


def on_features(model):
    """The same comparison from the feature maps on: a two-picture model whose backbone passes on what it is given.

    For feature maps that are computed once and then compared, scored and explained many times.
    """
    backbone, neck, distance = parts(model)
    maps = keras.Input(backbone.output_shape[1:], name="maps")
    return build(keras.Model(maps, layers.Identity()(maps), name="backbone"), neck, distance)


def embed(model, pictures, batch_size=32):
    """Embeddings ``(n, ...)``, float32, of uint8 or float RGB pictures ``(n, side, side, 3)`` in [0, 255]."""
    backbone, neck, _ = parts(model)
    out = np.empty((len(pictures), *neck.output_shape[1:]), np.float32)
    for start in range(0, len(pictures), batch_size):
        batch = np.asarray(pictures[start : start + batch_size], np.float32)
        out[start : start + batch_size] = np.asarray(neck(backbone(batch, training=False), training=False))
    return out


def indexed(model, features=False, branch=None):
    """The index-pair model over the same parts, for training.

    Inputs ``pictures (U, ...)`` and ``pairs (P, 2)`` int32, rows of ``pictures``; output ``(P, 1)``.
    The outputs and gradients are those of the two-picture model on the same pairs, unless a layer in
    training mode looks across the batch: batch normalisation then sees the U pictures once each
    instead of each side of the P pairs.

    Args:
        features: take feature maps of the backbone in place of pictures: a frozen backbone then
            runs once a picture instead of once a picture and epoch.
        branch: a model from the hidden features of the backbone's attention to a second embedding
            (`fsad.attention.branch`); then the outputs are ``distance`` and ``branch_distance``, a dict.
    """
    backbone, neck, distance = parts(model)
    shape = backbone.output_shape[1:] if features else backbone.input_shape[1:]
    pictures = keras.Input(shape, name="pictures")
    pairs = keras.Input((2,), dtype="int32", name="pairs")
    if branch is None:
        return keras.Model(
            [pictures, pairs],
            distance(_sides(neck(pictures if features else backbone(pictures)), pairs)),
            name="indexed",
        )
    first, second = with_branch(model, branch)(pictures)
    # A name for each output, which is how losses and their weights find them.
    out = {
        "distance": layers.Identity(name="distance_of_embeddings")(distance(_sides(first, pairs))),
        "branch_distance": EuclideanDistance(name="branch_euclidean", dtype="float32")(_sides(second, pairs)),
    }
    return keras.Model([pictures, pairs], out, name="indexed")


def with_branch(model, branch):
    """Pictures -> both embeddings, that of ``model`` and that of its ``branch``, from one pass of the backbone."""
    backbone, neck, _ = parts(model)
    picture = keras.Input(backbone.input_shape[1:], name="picture")
    both = keras.Model(
        backbone.input, [backbone.output, backbone.get_layer(attention.HIDDEN).output], name="with_hidden"
    )
    features, hidden = both(picture)
    return keras.Model(picture, [neck(features), branch(hidden)], name="with_branch")


def _sides(embeddings, pairs):
    return [ops.take(embeddings, pairs[:, side], axis=0) for side in (0, 1)]


def against(model, embeddings, references, reduction="mean"):
    """Embeddings ``(B, ...)`` against references ``(R, ...)``, as tensors: what is traced, differentiated, exported.

    Returns:
        A dict of tensors: ``score`` ``(B,)``, ``dissimilarity`` to each reference ``(B, R)``, and for maps
        of patches ``map`` ``(B, h, w)``: the distance of each patch to its nearest reference patch
        (`NearestPatch.against`; reference maps may be thinned out). The
        score of vectors is the ``reduction`` of the dissimilarities over the references (``"mean"``, the
        ``"min"``, or that of the ``"first"``); that of patches lets each patch choose its own reference.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"Expected a reduction among {REDUCTIONS}. Received: {reduction!r}")
    distance = parts(model).distance
    if patches := nearest_patch(model):
        score, dissimilarity, apart = patches.against(references, embeddings)
        return {"score": score, "dissimilarity": dissimilarity, "map": apart}
    count, dim = references.shape
    # Broadcast by adding zeros, since the number of pictures is not known while tracing.
    first = ops.reshape(references[None] + ops.zeros_like(embeddings)[:, None], (-1, dim))
    second = ops.reshape(embeddings[:, None] + ops.zeros_like(references)[None], (-1, dim))
    dissimilarity = ops.reshape(distance([first, second], training=False), (-1, count))
    if reduction == "first":
        score = dissimilarity[:, 0]
    else:
        score = (ops.mean if reduction == "mean" else ops.min)(dissimilarity, axis=1)
    return {"score": score, "dissimilarity": dissimilarity}


def nearest_patch(model):
    """The `NearestPatch` layer of a two-picture model; None if it compares vectors."""
    return next((layer for layer in parts(model).distance.layers if isinstance(layer, NearestPatch)), None)


def size_megabytes(model):
    """Megabytes (10^6 bytes) of a model with its training state, as Table II of paper S counts them.

    Float32 weights, and Adam's two moments for each trainable one: 12 bytes a trainable parameter, 4 a
    frozen one. That is the reading under which the paper's four sizes come out.
    """

    def count(variables):
        return sum(int(ops.prod(ops.shape(v))) for v in variables)

    return (12 * count(model.trainable_weights) + 4 * count(model.non_trainable_weights)) / 1e6
