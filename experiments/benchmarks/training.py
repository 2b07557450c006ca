"""Implementations for `experiments.benchmarks.speed` that train; a turn is an epoch, or a step where that is long."""

import queue
import threading

import keras
import numpy as np
import tensorflow as tf

from experiments.benchmarks import limits
from experiments.benchmarks.race import Work
from fsad import layers, pairs, recipes, siamese, training

EPOCHS = 100  # more than there are turns
LIVIERIS = 32  # images of the few-image epoch of paper L: 64 pairs


class Pace(keras.callbacks.Callback):
    """Lets ``fit``, in a thread of its own, go on by an epoch, or a step, at each `call`."""

    def __init__(self, by_steps=False):
        super().__init__()
        self.go, self.done, self.by_steps = queue.Queue(), queue.Queue(), by_steps

    def call(self):
        self.go.put(None)
        if error := self.done.get():
            raise error

    def on_epoch_begin(self, epoch, logs=None):
        if not self.by_steps:
            self.go.get()

    def on_epoch_end(self, epoch, logs=None):
        if not self.by_steps:
            self.done.put(None)

    def on_train_batch_begin(self, batch, logs=None):
        if self.by_steps:
            self.go.get()

    def on_train_batch_end(self, batch, logs=None):
        if self.by_steps:
            self.done.put(None)


def _paced(fit, recipe, units, passes, precision, by_steps=False):
    """The `Work` of ``fit(callbacks)``; ``passes``: images through the network in each call."""
    backbone, neck, _ = siamese.parts(recipe.model)
    facts = {"cost": limits.cost_of(backbone.layers + neck.layers), "images": passes, "pairs": units,
             "arithmetic": precision.replace("mixed_", ""), "trained": bool(backbone.trainable_weights)}  # fmt: skip
    pace = Pace(by_steps)

    def run():
        try:
            fit([pace])
        except Exception as error:
            pace.done.put(error)

    threading.Thread(target=run, daemon=True).start()
    return Work(pace.call, units, facts)


def _noise(recipe, count):
    return np.random.default_rng(0).integers(0, 256, (count, recipe.side, recipe.side, 3), np.uint8)


def _fsad(recipe, images, labels, given, precision):
    rng = np.random.default_rng(0)
    return lambda callbacks: training.fit(
        recipe, images, labels, rng, pairs=given, callbacks=callbacks, precision=precision
    )


def _keras(model, recipe, images, index, labels, losses, weights=None):
    """Keras's own way: float32 images, a two-input model, Adam, ``fit``."""
    data = tf.data.Dataset.from_tensor_slices((np.asarray(index), labels))
    images = tf.constant(images)
    data = data.shuffle(len(index)).batch(recipe.batch_size)

    def look_up(rows, pair_labels):
        sides = tuple(tf.cast(tf.gather(images, rows[:, k]), tf.float32) for k in (0, 1))
        return sides, dict.fromkeys(weights, pair_labels) if weights else pair_labels

    model.compile(keras.optimizers.Adam(float(recipe.optimizer.learning_rate)), loss=losses, loss_weights=weights)
    data = data.map(look_up).prefetch(2)
    return lambda callbacks: model.fit(data, epochs=EPOCHS, verbose=0, callbacks=callbacks)


def senarathna(way):
    """An epoch of paper S: 128 pairs of 192 images."""
    recipe = recipes.senarathna.build(weights="none", epochs=EPOCHS)
    images, index, labels = _senarathna_pairs(recipe)
    precision = training.fast_precision() if way == "fsad" else "float32"
    if way == "baseline":
        fit = _keras(recipe.model, recipe, images, index, labels, recipe.loss)
    else:
        recipe.augment = None
        fit = _fsad(recipe, images, np.zeros(192), (index, labels), precision)
    return _paced(fit, recipe, 128, 256 if way == "baseline" else 192, precision)


def _senarathna_pairs(recipe):
    index, labels = pairs.anchor_pairs(np.repeat([0, 1], [128, 64]))
    return _noise(recipe, 192), index, labels


def senarathna_torch(arithmetic):
    """The same epoch in PyTorch, a pair at a time through the network, as its Siamese tutorials do."""
    import torch

    from experiments.benchmarks.scoring import torch_net

    recipe = recipes.senarathna.build(weights="none")
    backbone, neck, _ = siamese.parts(recipe.model)
    net, unit = torch_net(backbone, neck), torch.nn.Linear(4096, 1)
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    images, index, labels = _senarathna_pairs(recipe)
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    optimizer = torch.optim.Adam([*net.parameters(), *unit.parameters()], lr=float(recipe.optimizer.learning_rate))
    loss = torch.nn.BCEWithLogitsLoss()

    def epoch():
        order = np.random.default_rng(0).permutation(len(index))
        for start in range(0, len(order), recipe.batch_size):
            chosen = order[start : start + recipe.batch_size]
            sides = [images[index[chosen, k]].float().contiguous(memory_format=torch.channels_last) for k in (0, 1)]
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arithmetic == "bfloat16"):
                first, second = (net(side) for side in sides)
            loss(unit((first.float() - second.float()).abs()), torch.from_numpy(labels[chosen])).backward()
            optimizer.step()

    facts = {"cost": limits.cost_of(backbone.layers + neck.layers), "images": 256, "pairs": 128,
             "arithmetic": arithmetic, "trained": True}  # fmt: skip
    return Work(epoch, 128, facts)


def takimoto(way, size=None):
    """Paper T, VGG16 with attention behind the tenth convolution and branch, on all 7140 pairs of 120 images.

    A turn is a step; its pairs are those of the average step, 7140 divided by the steps of an epoch.
    """
    batching = "images" if way == "images" else "pairs"
    options = {"position": 10, "margin": 1.0, "epochs": EPOCHS, "batching": batching, "batch_size": size}
    recipe = recipes.takimoto.build(weights="none", **options)
    images, labels = _noise(recipe, 120), np.repeat([0, 1], [80, 40])
    precision = "float32" if way == "baseline" else training.fast_precision()
    steps = pairs.steps(120, batching, recipe.batch_size)
    passes = {"baseline": 2 * recipe.batch_size, "pairs": 12634 / steps, "images": recipe.batch_size}[way]
    fit = _fsad(recipe, images, labels, None, precision)
    if way == "baseline":
        whole = siamese.with_branch(recipe.model, recipe.branch)
        sides = [keras.Input(images.shape[1:], name=name) for name in ("first", "second")]
        outputs = zip(training.OUTPUTS, *(whole(side) for side in sides), strict=True)
        out = {name: layers.EuclideanDistance(name=name)([first, second]) for name, first, second in outputs}
        losses, weights = (dict.fromkeys(training.OUTPUTS, value) for value in (recipe.loss, 1.0))
        fit = _keras(keras.Model(sides, out), recipe, images, *pairs.all_pairs(labels), losses, weights)
    return _paced(fit, recipe, 7140 / steps, passes, precision, by_steps=True)


def livieris(way, frozen):
    """Paper L, ResNet50, 64 pairs of 32 images, 4 pairs per step: the layers after the backbone, or all of it."""
    recipe = recipes.livieris.build(weights="none", frozen=frozen, epochs=EPOCHS)
    images, classes = _noise(recipe, LIVIERIS), np.arange(LIVIERIS) % 4
    index, labels = pairs.class_pairs(classes, np.arange(LIVIERIS), np.random.default_rng(0))
    precision = "float32" if way == "baseline" or frozen else training.fast_precision()
    if not frozen:  # a step of 4 pairs is enough of it
        index, labels = (np.concatenate([a[k::LIVIERIS] for k in range(2)]) for a in (index, labels))
    if way == "baseline":
        fit, passes = _keras(recipe.model, recipe, images, index, labels, recipe.loss), 2 * len(index)
    else:
        fit = _fsad(recipe, images, classes, (index, labels), precision)
        passes = 0 if frozen else len(np.unique(index))
    return _paced(fit, recipe, len(index), passes, precision)


def features():
    """What caching saves: ResNet50 features of the images, once."""
    recipe = recipes.livieris.build(weights="none", frozen=True)
    backbone, images = siamese.parts(recipe.model).backbone, _noise(recipe, LIVIERIS)
    facts = {"cost": limits.cost_of(backbone.layers), "images": LIVIERIS}
    return Work(lambda: backbone.predict(images, batch_size=32, verbose=0), LIVIERIS, facts)
