"""Fitting a recipe to its few pictures."""

import contextlib
import functools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from fsad import losses, pairs, siamese

STEP = {"pairs": 16, "pictures": 40}  # pairs, or pictures, a step of `fit_all_pairs`


@functools.cache
def fast_precision():
    """``"mixed_bfloat16"`` where the processor multiplies bfloat16, which others only imitate, else ``"float32"``.

    By what the processor says of itself, not by a trial: one machine is to train the same way every time.
    """
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = ()
    return "mixed_bfloat16" if BFLOAT16.intersection(flags) else "float32"


BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}  # Intel, AMD, ARM


@keras.saving.register_keras_serializable("fsad")
class FusedAdam(keras.optimizers.Adam):
    """Adam, its update compiled into one pass over the variables.

    Operation by operation it reads and writes each of 39 million weights a dozen times, which was a fifth of a step
    of the custom CNN.
    """

    def apply(self, grads, trainable_variables=None):
        if not self.built:
            self.build(trainable_variables)
        update = super().apply
        tf.function(lambda: update(grads, trainable_variables), jit_compile=True)()


def fit(recipe, anchors, good, defective, rng, callbacks=(), precision="float32"):
    """Trains ``recipe.model`` in place.

    Args:
        recipe: a `fsad.recipes.Recipe`.
        anchors, good, defective: uint8 RGB ``(n, side, side, 3)``, one n for the three roles.
        rng: an ``np.random.Generator``, draws the order of the pairs. (Initial weights come from
            Keras's own seed, ``keras.utils.set_random_seed``.)
        callbacks: Keras callbacks.
        precision: ``"float32"``, or ``"mixed_bfloat16"`` to compute the backbone in bfloat16 while
            training, which is faster on processors with bfloat16 units. Weights, neck, distance and
            loss stay float32, and so does everything after training.

    Returns:
        Loss of each epoch, a list of floats.

    Raises:
        ValueError: the three roles differ in number or shape.
        FloatingPointError: the loss became NaN.
    """
    shape = (len(anchors), recipe.side, recipe.side, 3)
    for name, pictures in (("anchors", anchors), ("good", good), ("defective", defective)):
        if pictures.shape != shape:
            raise ValueError(f"Expected {name} of shape {shape}. Received: {pictures.shape}")
    pictures = recipe.augment(np.concatenate([anchors, good, defective]))
    return fit_pairs(recipe, pictures, *recipe.pair(len(pictures) // 3), rng, None, callbacks, precision)


def fit_pairs(recipe, pictures, index, labels, rng, validation=None, callbacks=(), precision="float32"):
    """Trains ``recipe.model`` in place on given pairs.

    Args:
        recipe: a `fsad.recipes.Recipe`. Where it has a ``loss`` and a sigmoid unit on one distance, the unit
            starts from the distances of the pairs before training: at their median it says 0.5.
        pictures: uint8 RGB ``(n, side, side, 3)``. Feature maps of a frozen backbone are computed once, or given
            in place of the pictures.
        index, labels: ``(P, 2)`` rows of ``pictures`` and ``(P, 1)``, 1 different.
        rng, callbacks, precision: as in `fit`.
        validation: ``(index, labels)`` of further pairs of ``pictures``. The weights of the epoch with the lowest
            loss on them are kept.

    Returns, raises:
        As `fit`.
    """
    backbone, _, distance = siamese.parts(recipe.model)
    frozen = not backbone.trainable_weights
    if frozen and pictures.shape[1:] != backbone.output_shape[1:]:
        # Pictures do not change and a frozen backbone has no state.
        pictures = backbone.predict(pictures, batch_size=32, verbose=0)
    model = siamese.indexed(recipe.model, features=frozen)
    optimizer = FusedAdam(recipe.learning_rate, global_clipnorm=recipe.clip_norm)
    model.compile(optimizer, loss=recipe.loss or "binary_crossentropy")
    if recipe.loss is not None and "euclidean" in [layer.name for layer in distance.layers]:
        _centre(siamese.on_features(recipe.model) if frozen else recipe.model, pictures, index)
    data, held_out = pairs.dataset(pictures, index, labels, recipe.batch_size, rng), None
    if validation is not None:
        held_out = pairs.dataset(pictures, *validation, recipe.batch_size, np.random.default_rng(0))
        stop = keras.callbacks.EarlyStopping("val_loss", patience=recipe.patience, restore_best_weights=True)
        callbacks = [*callbacks, stop]
    return _run(model, data, recipe, callbacks, precision, held_out)


def _centre(model, pictures, index, most=256):
    """Starts the sigmoid unit at the distances of some pairs: 0.5 at their median, spread 1 before the sigmoid."""
    units = [layer for layer in siamese.parts(model).distance.layers if isinstance(layer, keras.layers.Dense)]
    if not units:
        return
    some = index[:: -(-len(index) // most)]
    rows, local = np.unique(some, return_inverse=True)
    first, second = siamese.embed(model, pictures[rows])[local.reshape(-1, 2)].transpose(1, 0, 2)
    apart = np.linalg.norm(first - second, axis=1)
    middle = float(np.median(apart))
    if middle > 0:  # else all pictures are one to the network
        scale = 1 / max(float(apart.std()), 0.01 * middle)
        units[-1].set_weights([np.array([[scale]]), np.array([-scale * middle])])


def fit_all_pairs(recipe, pictures, labels, rng, batching="pictures", size=None, callbacks=(), precision="float32"):
    """Trains a recipe that has a ``loss``, in place, on all pairs of its pictures (Takimoto et al. 2022).

    Args:
        recipe: as `fsad.recipes.takimoto` makes it. If it was given no margin, its loss gets one now.
        pictures: uint8 RGB ``(n, side, side, 3)``.
        labels: ``(n,)``, 1 abnormal.
        rng: an ``np.random.Generator``, draws the order.
        batching: ``"pairs"``, the paper's, or ``"pictures"`` (`fsad.pairs.by_pictures`), each pair once an epoch
            in both.
        size: pairs, or pictures, a step; `STEP` if None: 16 pairs, the paper's, or 40 pictures.
        callbacks, precision: as in `fit`.

    Returns:
        Loss of each epoch, a list of floats.

    Raises:
        ValueError: shapes, or one of the two classes is missing.
        FloatingPointError: the loss became NaN.
    """
    labels = np.asarray(labels)
    if pictures.shape != (len(labels), recipe.side, recipe.side, 3) or set(labels.tolist()) != {0, 1}:
        raise ValueError(
            f"Expected pictures (n, {recipe.side}, {recipe.side}, 3) and labels 0 and 1 of each. "
            f"Received: {pictures.shape} and labels {sorted(set(labels.tolist()))} of {len(labels)}"
        )
    if recipe.margin_from_data:
        recipe.loss.margin = recipe.margin_from_data * median_distance(recipe, pictures, labels)
    model = siamese.indexed(recipe.model, branch=recipe.branch)
    plain = not isinstance(recipe.loss, losses.PairBalancedContrastiveLoss)
    data = pairs.all_pairs_dataset(pictures, labels, batching, size or STEP[batching], rng)
    if plain:
        data = data.map(lambda x, y: (x, y[:, :1]))
    names = {"distance": 1.0, "branch_distance": recipe.branch_weight}
    optimizer = FusedAdam(recipe.learning_rate)
    if recipe.branch is None:
        model.compile(optimizer, loss=recipe.loss)
    else:
        data = data.map(lambda x, y: (x, dict.fromkeys(names, y)))
        model.compile(optimizer, loss=dict.fromkeys(names, recipe.loss), loss_weights=names)
    return _run(model, data, recipe, callbacks, precision)


def median_distance(recipe, pictures, labels):
    """Median Euclidean distance of output-1 over the pairs of a normal and an abnormal picture."""
    embeddings = siamese.embed(recipe.model, pictures, batch_size=16)
    normal, abnormal = embeddings[labels == 0], embeddings[labels == 1]
    return float(np.median(np.linalg.norm(normal[:, None] - abnormal[None], axis=-1)))


def _run(model, data, recipe, callbacks, precision, held_out=None):
    with _computing_in(precision, recipe.model):
        history = model.fit(
            data,
            epochs=recipe.epochs,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
            validation_data=held_out,
        )
        history = history.history["loss"]
    if not np.isfinite(history).all():
        raise FloatingPointError(f"Expected a finite loss. Received: {history[-1]} after {len(history)} epochs")
    return [float(v) for v in history]


@contextlib.contextmanager
def _computing_in(precision, model):
    """Convolutions of the backbone compute in ``precision`` within; their variables are float32 throughout.

    Depthwise ones and what goes element by element gain nothing (MobileNet in bfloat16 throughout is slower than in
    float32). Nor does the neck take part: embeddings rounded to bfloat16 are equal where their difference matters,
    and ``|a - b| = 0`` passes no gradient.
    """
    if precision not in ("float32", "mixed_bfloat16"):
        raise ValueError(f"Expected precision 'float32' or 'mixed_bfloat16'. Received: {precision!r}")
    layers = [
        layer
        for layer in model.get_layer("backbone").layers
        if isinstance(layer, keras.layers.Conv2D) and not isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = precision
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy
