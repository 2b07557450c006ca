"""A Siamese network is three named parts: backbone, neck, distance.

- ``backbone``: images ``(batch, side, side, 3)``, raw RGB in [0, 255] -> feature maps
- ``neck``: feature maps -> embeddings ``(batch, dim)``, or patches of unit length ``(batch, h, w, channels)``
- ``distance``: two embeddings -> dissimilarity ``(batch, 1)`` in [0, 1]; 1 means different

`build` joins them into the two-input model; `indexed` is a second view on the same parts, the one to
train: each image is embedded once, whatever the number of its pairs.
"""

import weakref
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from fsad import attention
from fsad.images import batch_for
from fsad.layers import CosineDistance, Distance, DistanceLayer, EuclideanDistance
from fsad.nearest_patch import NearestPatch

DISTANCES = {"l1": DistanceLayer, "euclidean": EuclideanDistance, "cosine": CosineDistance}
HIDDEN_UNITS = 64  # of the learnable distance


class Parts(NamedTuple):
    backbone: keras.Model
    neck: keras.Model
    distance: keras.Model


def distance_head(dim, distance="l1"):
    """The part ``distance``: a distance layer, then one sigmoid unit (float32 whatever the policy).

    Args:
        dim: length of an embedding.
        distance: ``"l1"`` (`DistanceLayer`, the paper's), ``"euclidean"`` or ``"cosine"``; or ``"learnable"``, which
            the paper names and does not describe: two layers learn what to make of the absolute difference,
            `HIDDEN_UNITS` ReLU units and the sigmoid unit. (With ``"l1"`` the sigmoid unit alone does.)
    """
    if distance == "learnable":
        hidden = layers.Dense(HIDDEN_UNITS, activation="relu", name="learnable", dtype="float32")
        unit = layers.Dense(1, activation="sigmoid", name="dissimilarity", dtype="float32")
        return _distance((dim,), DistanceLayer(name="l1", dtype="float32"), hidden, unit)
    if distance not in DISTANCES:
        raise ValueError(f"Expected a distance among {', '.join((*DISTANCES, 'learnable'))}. Received: {distance!r}")
    # One number, that is to grow with the dissimilarity: a random sign would invert the score permanently.
    options = {} if distance == "l1" else {"kernel_initializer": "ones", "kernel_constraint": "non_neg"}
    unit = layers.Dense(1, activation="sigmoid", name="dissimilarity", dtype="float32", **options)
    return _distance((dim,), DISTANCES[distance](name=distance, dtype="float32"), unit)


def bare_distance(dim):
    """The part ``distance`` without a head: Euclidean, ``(batch, 1)``, >= 0 and not bounded by 1."""
    return _distance((dim,), EuclideanDistance(name="euclidean", dtype="float32"))


def clipped_distance(dim):
    """The part ``distance`` of the public code of Livieris et al. (2023): Euclidean, clipped at 1, no head."""
    clip = layers.ReLU(max_value=1.0, name="dissimilarity", dtype="float32")
    return _distance((dim,), EuclideanDistance(name="euclidean", dtype="float32"), clip)


def patch_distance(shape, channels=None, **options):
    """The part ``distance`` for maps of patches ``shape`` = ``(h, w, C)``: `NearestPatch`, nothing else."""
    return _distance(shape, NearestPatch(channels, **options, name="nearest_patch"))


def _distance(shape, layer, *units):
    first, second = keras.Input(shape, name="first"), keras.Input(shape, name="second")
    out = layer([first, second])
    for unit in units:
        out = unit(out)
    return keras.Model([first, second], out, name="distance")


def build(backbone, neck, distance):
    """The two-input model: inputs ``anchor`` and ``image``, output dissimilarity ``(batch, 1)``."""
    for part, name in ((backbone, "backbone"), (neck, "neck"), (distance, "distance")):
        if part.name != name:
            raise ValueError(f"Expected a part named {name!r}. Received: {part.name!r}")
    shape = backbone.input_shape[1:]
    anchor, image = keras.Input(shape, name="anchor"), keras.Input(shape, name="image")
    model = keras.Model([anchor, image], distance([neck(backbone(anchor)), neck(backbone(image))]), name="siamese")
    distance_layer(model)  # what cannot be scored is better known before it is trained
    return model


def parts(model):
    """The three parts of a model that `build` made, also after saving and loading."""
    try:
        return Parts(*(model.get_layer(name) for name in Parts._fields))
    except ValueError as error:
        raise ValueError(f"Expected a model with layers {Parts._fields}. Received: {error}") from error


def distance_layer(model):
    """The `fsad.layers.Distance` of a two-input model, and the layers that turn it into a dissimilarity, a list."""
    layer, *units = [part for part in parts(model).distance.layers if not isinstance(part, layers.InputLayer)]
    if not isinstance(layer, Distance):
        kind = type(layer).__name__
        raise ValueError(
            f"Expected the part distance to begin with a subclass of fsad.layers.Distance. Received: {kind}"
        )
    return layer, units


def embedder(model):
    """Images -> embeddings, over the parts of ``model``."""
    backbone, neck, _ = parts(model)
    image = keras.Input(backbone.input_shape[1:], name="image")
    return keras.Model(image, neck(backbone(image)), name="embedder")


def on_features(model):
    """The same comparison from the feature maps on: a two-input model whose backbone passes on what it is given.

    For feature maps that are computed once and then compared, scored and explained many times.
    """
    backbone, neck, distance = parts(model)
    maps = keras.Input(backbone.output_shape[1:], name="maps")
    return build(keras.Model(maps, layers.Identity()(maps), name="backbone"), neck, distance)


def embed(model, images, batch_size=32):
    """Embeddings ``(n, ...)``, float32, of uint8 or float RGB images ``(n, side, side, 3)`` in [0, 255].

    Raises:
        ValueError: images of another shape.
    """
    backbone, neck, _ = parts(model)
    expected = backbone.input_shape[1:]
    if len(images) and None not in expected and np.shape(images[0]) != expected:
        shape = ", ".join(map(str, expected))
        raise ValueError(f"Expected images (n, {shape}). Received: {(len(images), *np.shape(images[0]))}")
    batch_size = batch_for(backbone.input_shape[1:3], batch_size)
    out = np.empty((len(images), *neck.output_shape[1:]), np.float32)
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size], np.float32)
        out[start : start + batch_size] = embedded(model, batch).numpy()
    return out


def embedded(model, batch):
    """Embeddings of one batch of float32 images, a tensor."""
    backbone, neck = compiled(model)
    return neck(backbone(batch))


def compiled(model):
    """``(backbone, neck)`` of a two-input model as functions of float32 tensors, each traced once, for fitting, scoring
    and exports alike.

    They hold few of their feature maps at a time: a Keras model called as it is holds them all, gigabytes for a large
    image, and takes twice the time.
    """
    if model not in _compiled:
        _compiled[model] = tuple(_function(part) for part in parts(model)[:2])
    return _compiled[model]


_compiled = weakref.WeakKeyDictionary()  # models -> their parts, which do not refer to the model


def _function(part):
    signature = [tf.TensorSpec((None, *part.input_shape[1:]), tf.float32)]  # one graph for batches of any size

    def call(x):
        return tf.cast(part(x, training=False), tf.float32)  # training may leave a backbone in bfloat16

    return tf.function(call, input_signature=signature, autograph=False)


def with_distance(model, distance):
    """The same backbone and neck, compiled once for both, with a distance of its own."""
    other = build(*parts(model)[:2], distance)
    if model in _compiled:
        _compiled[other] = _compiled[model]
    return other


def indexed(model, features=False, branch=None):
    """The index-pair model over the same parts, for training.

    Inputs ``images (U, ...)`` and ``pairs (P, 2)`` int32, rows of ``images``; output ``(P, 1)``.
    The outputs and gradients are those of the two-input model on the same pairs, unless a layer in
    training mode looks across the batch: batch normalisation then sees the U images once each
    instead of each side of the P pairs.

    Args:
        features: take feature maps of the backbone in place of images: a frozen backbone then
            runs once per image instead of once per image and epoch.
        branch: a model from the hidden features of the backbone's attention to a second embedding
            (`fsad.attention.branch`); then the outputs are ``distance`` and ``branch_distance``, a dict.
    """
    backbone, neck, distance = parts(model)
    shape = backbone.output_shape[1:] if features else backbone.input_shape[1:]
    images = keras.Input(shape, name="images")
    pairs = keras.Input((2,), dtype="int32", name="pairs")
    if branch is None:
        embeddings = neck(images if features else backbone(images))
        return keras.Model([images, pairs], distance(_sides(embeddings, pairs)), name="indexed")
    first, second = with_branch(model, branch)(images)
    # A name for each output, which is how losses and their weights find them.
    out = {
        "distance": layers.Identity(name="distance_of_embeddings")(distance(_sides(first, pairs))),
        "branch_distance": EuclideanDistance(name="branch_euclidean", dtype="float32")(_sides(second, pairs)),
    }
    return keras.Model([images, pairs], out, name="indexed")


def with_branch(model, branch):
    """Images -> both embeddings, that of ``model`` and that of its ``branch``, from one pass of the backbone."""
    backbone, neck, _ = parts(model)
    image = keras.Input(backbone.input_shape[1:], name="image")
    both = keras.Model(
        backbone.input, [backbone.output, backbone.get_layer(attention.HIDDEN).output], name="with_hidden"
    )
    features, hidden = both(image)
    return keras.Model(image, [neck(features), branch(hidden)], name="with_branch")


def embed_both(model, branch, images, batch_size=32):
    """Both embeddings of images, as `embed`: a list of ``(n, dim)``; of the first alone where ``branch`` is None."""
    if branch is None:
        return [embed(model, images, batch_size)]
    both, images = with_branch(model, branch), np.asarray(images)
    batches = [images[k : k + batch_size].astype(np.float32) for k in range(0, len(images), batch_size)]
    outputs = [both(batch, training=False) for batch in batches]
    return [np.concatenate(output) for output in zip(*outputs, strict=True)]


def _sides(embeddings, pairs):
    return [ops.take(embeddings, pairs[:, side], axis=0) for side in (0, 1)]
