"""Fitting a recipe to its few images: one function for all recipes."""

import contextlib
import functools
from pathlib import Path

import keras
import numpy as np

from fsad import siamese
from fsad.pairs import dataset

BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}  # Intel, AMD, ARM


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


def fit(recipe, images, labels, rng, groups=None, pairs=None, validation=None, callbacks=(), precision="float32"):
    """Trains ``recipe.model`` in place.

    Args:
        recipe: a `fsad.recipes.Recipe` that is trained.
        images: uint8 RGB ``(n, side, side, 3)``, or feature maps of its backbone where that is frozen: those are
            computed once.
        labels: ``(n,)``, as its pairing takes them: 0 good, 1 defective, or numbers of classes.
        rng: an ``np.random.Generator``, draws the pairs and the order they are seen in. (Initial weights come from
            Keras's own seed, ``keras.utils.set_random_seed``.)
        groups: ``(n,)``, equal for images of one part; each its own if None.
        pairs: ``(index (P, 2), pair_labels (P, k))`` in place of those the pairing would make.
        validation: further pairs of ``images``, likewise. The weights of the epoch with the lowest loss on them are
            restored at the end, and training stops ``recipe.patience`` epochs after it; the learning rate is halved
            each time ``recipe.halve_after`` epochs pass without a lower one.
        callbacks: Keras callbacks.
        precision: ``"float32"``, or ``"mixed_bfloat16"`` to compute the convolutions of the backbone in bfloat16 while
            training, which is faster on processors with bfloat16 units. Weights, neck, distance and loss stay float32,
            and so does everything after training.

    Returns:
        Loss of each epoch, a list of floats.

    Raises:
        ValueError: a recipe that is not trained, no epochs, shapes, or labels that the pairing cannot pair.
        FloatingPointError: the loss became NaN.
    """
    if not recipe.trained or recipe.epochs < 1:
        raise ValueError(
            f"Expected a recipe that is trained, and epochs. Received: {recipe.name}, {recipe.epochs} epochs"
        )
    if validation is not None and (recipe.augment or recipe.branch):
        raise ValueError(f"Expected no validation pairs: the recipe {recipe.name} augments, or has a branch")
    backbone = siamese.parts(recipe.model).backbone
    frozen, labels = not backbone.trainable_weights, np.asarray(labels)
    given_features = frozen and images.shape[1:] == backbone.output_shape[1:]
    if len(images) != len(labels) or not (given_features or images.shape[1:] == (recipe.side, recipe.side, 3)):
        raise ValueError(
            f"Expected images (n, {recipe.side}, {recipe.side}, 3) and a label of each. "
            f"Received: {tuple(images.shape)} and {len(labels)} labels"
        )
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"Expected labels that are numbers: 0 is good, 1 defective. Received: {labels[0]!r}")
    groups = np.arange(len(labels)) if groups is None else groups
    index, pair_labels = recipe.pairing(labels, groups, rng) if pairs is None else pairs
    if recipe.augment is not None and given_features:
        raise ValueError(f"Expected images, which the recipe {recipe.name} augments. Received: feature maps")
    if recipe.augment is not None:
        images, index, pair_labels = augmented(recipe.augment, images, index, pair_labels)
    if frozen and not given_features:  # images do not change and a frozen backbone has no state
        images = backbone.predict(np.asarray(images), batch_size=32, verbose=0)
    if recipe.start is not None:
        view = siamese.on_features(recipe.model) if frozen else recipe.model
        recipe.start(
            recipe, lambda rows: siamese.embed_both(view, recipe.branch, np.asarray(images)[rows]), index, pair_labels
        )
    model = _compiled(recipe, frozen)
    data = dataset(images, index, pair_labels, recipe.batching, recipe.batch_size, recipe.epochs, rng)
    options = {}
    if validation is not None:
        options["validation_data"] = dataset(
            images, *validation, recipe.batching, recipe.batch_size, 1, np.random.default_rng(0)
        )
        stop = keras.callbacks.EarlyStopping("val_loss", patience=recipe.patience, restore_best_weights=True)
        callbacks = [*callbacks, stop]
        if recipe.halve_after:
            callbacks.append(keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=recipe.halve_after))
    if recipe.branch is not None:
        data = data.map(_for_both)
    with _computing_in(precision, backbone):
        history = model.fit(
            data,
            epochs=recipe.epochs,
            steps_per_epoch=int(data.cardinality()) // recipe.epochs,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
            **options,
        ).history["loss"]
    if not np.isfinite(history).all():
        raise FloatingPointError(f"Expected a finite loss. Received: {history[-1]} after {len(history)} epochs")
    return [float(v) for v in history]


def augmented(augment, images, index, pair_labels):
    """Pairs of images -> pairs of their augmentations: the a-th of the one meets the a-th of the other.

    Args:
        augment: images ``(n, S, S, 3)`` -> ``(n c, S, S, 3)``, the c of each image in a row.
        images, index, pair_labels: of n images and P pairs, as `fsad.pairs` makes them.

    Returns:
        The same three, of ``n c`` images and ``P c`` pairs.
    """
    expanded = augment(images)
    copies = len(expanded) // len(images)
    index = (index[:, None] * copies + np.arange(copies)[:, None]).reshape(-1, 2)
    return expanded, index.astype(np.int32), np.repeat(pair_labels, copies, axis=0)


OUTPUTS = ("distance", "branch_distance")  # of `fsad.siamese.indexed` with a branch


def _compiled(recipe, features):
    model = siamese.indexed(recipe.model, features=features, branch=recipe.branch)
    # A copy: an optimiser remembers the variables it was built for, and a recipe may be trained twice.
    optimizer = recipe.optimizer.from_config(recipe.optimizer.get_config())
    if recipe.branch is None:
        model.compile(optimizer, loss=recipe.loss)
    else:
        losses, weights = (recipe.loss, recipe.branch_loss), (1.0, recipe.branch_weight)
        losses, weights = (dict(zip(OUTPUTS, values, strict=True)) for values in (losses, weights))
        model.compile(optimizer, loss=losses, loss_weights=weights)
    return model


def _for_both(inputs, labels):
    return inputs, dict.fromkeys(OUTPUTS, labels)


@contextlib.contextmanager
def _computing_in(precision, backbone):
    """Convolutions of the backbone compute in ``precision`` within; their variables are float32 throughout.

    Depthwise ones and what goes element by element gain nothing (MobileNet in bfloat16 throughout is slower than in
    float32). Nor does the neck take part: embeddings rounded to bfloat16 are equal where their difference matters,
    and ``|a - b| = 0`` passes no gradient.
    """
    if precision not in ("float32", "mixed_bfloat16"):
        raise ValueError(f"Expected precision 'float32' or 'mixed_bfloat16'. Received: {precision!r}")
    layers = [
        layer
        for layer in backbone.layers
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
