"""Contenders of `experiments.benchmark_speed` that train; a turn is an epoch, or a step where that takes minutes."""

import keras
import numpy as np
import tensorflow as tf

from experiments import cost
from fsad import layers, pairs, recipes, siamese, training

FOREVER = 10_000  # epochs; the race ends the training
LIVIERIS = 32  # pictures of the few-picture epoch of paper L: 64 pairs


class Pace(keras.callbacks.Callback):
    """Lets ``fit`` go on epoch by epoch, or step by step, as the race has it."""

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


def _tell(turns, recipe, units, passes, arithmetic="float32"):
    backbone, neck, _ = siamese.parts(recipe.model)
    turns.tell(
        cost=cost.of(backbone.layers + neck.layers),
        pictures=passes,
        pairs=units,
        arithmetic=arithmetic,
        trained=bool(backbone.trainable_weights),
    )


def _noise(recipe, count):
    return np.random.default_rng(0).integers(0, 256, (count, recipe.side, recipe.side, 3), np.uint8)


def _two_inputs(turns, model, recipe, pictures, index, labels, units, losses, weights=None, steps=False):
    """Keras's own way: float32 pictures, a two-input model, Adam, ``fit``."""
    data = tf.data.Dataset.from_tensor_slices((np.asarray(index), labels))
    held = tf.constant(pictures)
    data = data.shuffle(len(index)).batch(recipe.batch_size or training.STEP["pairs"])

    def look_up(rows, told):
        sides = tuple(tf.cast(tf.gather(held, rows[:, k]), tf.float32) for k in (0, 1))
        return sides, dict.fromkeys(weights, told) if weights else told

    model.compile(keras.optimizers.Adam(recipe.learning_rate), loss=losses, loss_weights=weights)
    model.fit(data.map(look_up).prefetch(2), epochs=FOREVER, verbose=0, callbacks=[Pace(turns, units, steps)])


def senarathna(turns, way):
    """An epoch of paper S: 128 pairs of 192 pictures."""
    recipe = recipes.senarathna(weights="none", epochs=FOREVER)
    pictures = _noise(recipe, 192)
    index, labels = recipe.pair(64)
    fast = way == "ours"
    precision = training.fast_precision() if fast else "float32"
    _tell(turns, recipe, 128, 192 if way.startswith("ours") else 256, precision.replace("mixed_", ""))
    if way == "naive":
        return _two_inputs(turns, recipe.model, recipe, pictures, index, labels, 128, "binary_crossentropy")
    rng = np.random.default_rng(0)
    return training.fit_pairs(recipe, pictures, index, labels, rng, callbacks=[Pace(turns, 128)], precision=precision)


def senarathna_torch(turns, arithmetic):
    """The same epoch in PyTorch, a pair at a time through the network, as its Siamese tutorials do."""
    import torch

    from experiments.speed_scoring import torch_net

    recipe = recipes.senarathna(weights="none")
    backbone, neck, _ = siamese.parts(recipe.model)
    _tell(turns, recipe, 128, 256, arithmetic)
    net, unit = torch_net(backbone, neck), torch.nn.Linear(4096, 1)
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    pictures = torch.from_numpy(_noise(recipe, 192)).permute(0, 3, 1, 2)
    index, labels = recipe.pair(64)
    optimizer = torch.optim.Adam([*net.parameters(), *unit.parameters()], lr=recipe.learning_rate)
    loss = torch.nn.BCEWithLogitsLoss()
    while True:
        turns.begin()
        order = np.random.default_rng(0).permutation(len(index))
        for start in range(0, len(order), recipe.batch_size):
            chosen = order[start : start + recipe.batch_size]
            sides = [pictures[index[chosen, k]].float().contiguous(memory_format=torch.channels_last) for k in (0, 1)]
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arithmetic == "bfloat16"):
                first, second = (net(side) for side in sides)
            loss(unit((first.float() - second.float()).abs()), torch.from_numpy(labels[chosen])).backward()
            optimizer.step()
        turns.end(128)


def takimoto(turns, way, size=None):
    """Paper T, VGG16 with attention behind the tenth convolution and branch, on all 7140 pairs of 120 pictures.

    A turn is a step; its pairs are those of the average step, 7140 divided by the steps of an epoch.
    """
    recipe = recipes.takimoto(weights="none", position=10, margin=1.0, epochs=FOREVER)
    pictures, labels = _noise(recipe, 120), np.repeat([0, 1], [80, 40])
    precision = "float32" if way == "naive" else training.fast_precision()
    batching = "pictures" if way == "pictures" else "pairs"
    size = size or training.STEP[batching]
    units = 7140 / pairs.steps(120, batching, size)
    passes = {"naive": 2 * size, "pairs": 12634 / pairs.steps(120, "pairs", size), "pictures": size}[way]
    _tell(turns, recipe, units, passes, precision.replace("mixed_", ""))
    if way != "naive":
        rng = np.random.default_rng(0)
        pace = Pace(turns, units, steps=True)
        return training.fit_all_pairs(recipe, pictures, labels, rng, batching, size, [pace], precision)
    whole = siamese.with_branch(recipe.model, recipe.branch)
    sides = [keras.Input(pictures.shape[1:], name=name) for name in ("first", "second")]
    outputs = list(zip(*(whole(side) for side in sides), strict=True))
    names = ("distance", "branch_distance")
    out = {name: layers.EuclideanDistance(name=name)(list(two)) for name, two in zip(names, outputs, strict=True)}
    index, told = pairs.takimoto(labels)
    losses = dict.fromkeys(names, recipe.loss)
    weights = dict.fromkeys(names, 1.0)
    return _two_inputs(
        turns, keras.Model(sides, out), recipe, pictures, index, told[:, :1], units, losses, weights, steps=True
    )


def livieris(turns, way, frozen):
    """Paper L, ResNet50, 64 pairs of 32 pictures, 4 pairs a step: the layers after the backbone, or all of it."""
    recipe = recipes.livieris(weights="none", frozen=frozen, epochs=FOREVER)
    pictures = _noise(recipe, LIVIERIS)
    index, labels = pairs.livieris(np.arange(LIVIERIS) % 4, np.arange(LIVIERIS), np.random.default_rng(0))
    precision = "float32" if way == "naive" or frozen else training.fast_precision()
    if not frozen:  # a step of 4 pairs is enough of it
        index, labels = (np.concatenate([a[k::LIVIERIS] for k in range(2)]) for a in (index, labels))
    units = len(index)
    unique = {"naive": 2 * units}.get(way, LIVIERIS if frozen else len(np.unique(index)))
    _tell(turns, recipe, units, 0 if frozen and way == "ours" else unique, precision.replace("mixed_", ""))
    if way == "naive":
        return _two_inputs(turns, recipe.model, recipe, pictures, index, labels, units, recipe.loss)
    rng = np.random.default_rng(0)
    pace = Pace(turns, units)
    return training.fit_pairs(recipe, pictures, index, labels, rng, callbacks=[pace], precision=precision)


def features(turns):
    """What caching saves: ResNet50 features of the pictures, once."""
    recipe = recipes.livieris(weights="none", frozen=True)
    backbone, pictures = siamese.parts(recipe.model).backbone, _noise(recipe, LIVIERIS)
    turns.tell(cost=cost.of(backbone.layers), pictures=LIVIERIS, arithmetic="float32", trained=False)
    turns.repeat(lambda: backbone.predict(pictures, batch_size=32, verbose=0), LIVIERIS)
