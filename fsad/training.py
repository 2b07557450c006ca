"""Fitting a recipe to its few pictures."""

import contextlib
from pathlib import Path

import keras
import numpy as np

from fsad import pairs, siamese


def fast_precision():
    """``"mixed_bfloat16"`` where the processor says it multiplies bfloat16 (Linux), else ``"float32"``."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    return "mixed_bfloat16" if "amx_bf16" in flags or "avx512_bf16" in flags else "float32"


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
    index, labels = recipe.pair(len(pictures) // 3)
    # Augmentations are fixed and a frozen backbone has no state: its feature maps are computed once.
    frozen = not recipe.model.get_layer("backbone").trainable_weights
    if frozen:
        pictures = siamese.parts(recipe.model).backbone.predict(pictures, batch_size=32, verbose=0)
    model = siamese.indexed(recipe.model, features=frozen)
    model.compile(keras.optimizers.Adam(recipe.learning_rate), loss="binary_crossentropy")
    data = pairs.dataset(pictures, index, labels, recipe.batch_size, rng)
    with _computing_in(precision, recipe.model):
        history = model.fit(data, epochs=recipe.epochs, shuffle=False, verbose=0, callbacks=list(callbacks))
        history = history.history["loss"]
    if not np.isfinite(history).all():
        raise FloatingPointError(f"Expected a finite loss. Received: {history[-1]} after {len(history)} epochs")
    return [float(v) for v in history]


@contextlib.contextmanager
def _computing_in(precision, model):
    """Layers of the backbone compute in ``precision`` within; their variables are float32 throughout.

    Not those of the neck: embeddings rounded to bfloat16 are equal where their difference matters, and
    ``|a - b| = 0`` passes no gradient.
    """
    if precision not in ("float32", "mixed_bfloat16"):
        raise ValueError(f"Expected precision 'float32' or 'mixed_bfloat16'. Received: {precision!r}")
    layers = model.get_layer("backbone").layers
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = precision
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy
