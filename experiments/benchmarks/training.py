"""Implementations for `experiments.benchmarks.speed` that train; a turn is an epoch, or a step where that is long."""

import keras
import numpy as np
import tensorflow as tf

from experiments.benchmarks import limits
from fsad import layers, pairs, recipes, siamese, training

EPOCHS = 100  # more than there are turns; the race ends the training
LIVIERIS = 32  # images of the few-image epoch of paper L: 64 pairs


class Pace(keras.callbacks.Callback):
    """Lets ``fit`` continue epoch by epoch, or step by step, as the race has it."""

    def __init__(self, turns, units, steps=False):
        super().__init__()
        self.turns, self.units, self.steps = turns, units, steps

    def on_epoch_begin(self, epoch, logs=None):
        if not self.steps:
            self.turns.begin()

    def on_epoch_end(self, epoch, logs=None):
        if not self.steps:
            self.turns.end(self.units)

    def on_train_batch_begin(self, batch, logs=None):
        if self.steps:
            self.turns.begin()

    def on_train_batch_end(self, batch, logs=None):
        if self.steps:
            self.turns.end(self.units)


def _report(turns, recipe, units, passes, arithmetic="float32"):
    backbone, neck, _ = siamese.parts(recipe.model)
    cost, trained = limits.cost_of(backbone.layers + neck.layers), bool(backbone.trainable_weights)
    arithmetic = arithmetic.replace("mixed_", "")
    turns.report(cost=cost, images=passes, pairs=units, arithmetic=arithmetic, trained=trained)


def _noise(recipe, count):
    return np.random.default_rng(0).integers(0, 256, (count, recipe.side, recipe.side, 3), np.uint8)


def _two_inputs(turns, model, recipe, images, index, labels, units, losses, weights=None, steps=False):
    """Keras's own way: float32 images, a two-input model, Adam, ``fit``."""
    data = tf.data.Dataset.from_tensor_slices((np.asarray(index), labels))
    images = tf.constant(images)
    data = data.shuffle(len(index)).batch(recipe.batch_size)

    def look_up(rows, pair_labels):
        sides = tuple(tf.cast(tf.gather(images, rows[:, k]), tf.float32) for k in (0, 1))
        return sides, dict.fromkeys(weights, pair_labels) if weights else pair_labels

    model.compile(keras.optimizers.Adam(float(recipe.optimizer.learning_rate)), loss=losses, loss_weights=weights)
    model.fit(data.map(look_up).prefetch(2), epochs=EPOCHS, verbose=0, callbacks=[Pace(turns, units, steps)])


def senarathna(turns, way):
    """An epoch of paper S: 128 pairs of 192 images."""
    recipe = recipes.senarathna.build(weights="none", epochs=EPOCHS)
    images, index, labels = _senarathna_pairs(recipe)
    precision = training.fast_precision() if way == "fsad" else "float32"
    _report(turns, recipe, 128, 256 if way == "baseline" else 192, precision)
    if way == "baseline":
        return _two_inputs(turns, recipe.model, recipe, images, index, labels, 128, recipe.loss)
    recipe.augment, pace = None, Pace(turns, 128)
    return training.fit(
        recipe, images, np.zeros(192), np.random.default_rng(0), None, (index, labels), callbacks=[pace],
        precision=precision,
    )  # fmt: skip


def _senarathna_pairs(recipe):
    index, labels = pairs.anchor_pairs(np.repeat([0, 1], [128, 64]))
    return _noise(recipe, 192), index, labels


def senarathna_torch(turns, arithmetic):
    """The same epoch in PyTorch, a pair at a time through the network, as its Siamese tutorials do."""
    import torch

    from experiments.benchmarks.scoring import torch_net

    recipe = recipes.senarathna.build(weights="none")
    backbone, neck, _ = siamese.parts(recipe.model)
    _report(turns, recipe, 128, 256, arithmetic)
    net, unit = torch_net(backbone, neck), torch.nn.Linear(4096, 1)
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    images, index, labels = _senarathna_pairs(recipe)
    images = torch.from_numpy(images).permute(0, 3, 1, 2)
    optimizer = torch.optim.Adam([*net.parameters(), *unit.parameters()], lr=float(recipe.optimizer.learning_rate))
    loss = torch.nn.BCEWithLogitsLoss()
    while True:
        turns.begin()
        order = np.random.default_rng(0).permutation(len(index))
        for start in range(0, len(order), recipe.batch_size):
            chosen = order[start : start + recipe.batch_size]
            sides = [images[index[chosen, k]].float().contiguous(memory_format=torch.channels_last) for k in (0, 1)]
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arithmetic == "bfloat16"):
                first, second = (net(side) for side in sides)
            loss(unit((first.float() - second.float()).abs()), torch.from_numpy(labels[chosen])).backward()
            optimizer.step()
        turns.end(128)


def takimoto(turns, way, size=None):
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
    _report(turns, recipe, 7140 / steps, passes, precision)
    if way != "baseline":
        pace = Pace(turns, 7140 / steps, steps=True)
        return training.fit(recipe, images, labels, np.random.default_rng(0), callbacks=[pace], precision=precision)
    whole = siamese.with_branch(recipe.model, recipe.branch)
    sides = [keras.Input(images.shape[1:], name=name) for name in ("first", "second")]
    outputs = zip(training.OUTPUTS, *(whole(side) for side in sides), strict=True)
    out = {name: layers.EuclideanDistance(name=name)([first, second]) for name, first, second in outputs}
    index, pair_labels = pairs.all_pairs(labels)
    losses, weights = (dict.fromkeys(training.OUTPUTS, value) for value in (recipe.loss, 1.0))
    model = keras.Model(sides, out)
    return _two_inputs(turns, model, recipe, images, index, pair_labels, 7140 / steps, losses, weights, steps=True)


def livieris(turns, way, frozen):
    """Paper L, ResNet50, 64 pairs of 32 images, 4 pairs per step: the layers after the backbone, or all of it."""
    recipe = recipes.livieris.build(weights="none", frozen=frozen, epochs=EPOCHS)
    images, classes = _noise(recipe, LIVIERIS), np.arange(LIVIERIS) % 4
    index, labels = pairs.class_pairs(classes, np.arange(LIVIERIS), np.random.default_rng(0))
    precision = "float32" if way == "baseline" or frozen else training.fast_precision()
    if not frozen:  # a step of 4 pairs is enough of it
        index, labels = (np.concatenate([a[k::LIVIERIS] for k in range(2)]) for a in (index, labels))
    units = len(index)
    passes = 2 * units if way == "baseline" else 0 if frozen else len(np.unique(index))
    _report(turns, recipe, units, passes, precision)
    if way == "baseline":
        return _two_inputs(turns, recipe.model, recipe, images, index, labels, units, recipe.loss)
    return training.fit(
        recipe, images, classes, np.random.default_rng(0), None, (index, labels), callbacks=[Pace(turns, units)],
        precision=precision,
    )  # fmt: skip


def features(turns):
    """What caching saves: ResNet50 features of the images, once."""
    recipe = recipes.livieris.build(weights="none", frozen=True)
    backbone, images = siamese.parts(recipe.model).backbone, _noise(recipe, LIVIERIS)
    turns.report(cost=limits.cost_of(backbone.layers), images=LIVIERIS, arithmetic="float32", trained=False)
    turns.repeat(lambda: backbone.predict(images, batch_size=32, verbose=0), LIVIERIS)
