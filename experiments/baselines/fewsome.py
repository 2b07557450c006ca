"""FewSOME (Belton et al. 2023), which paper S names: a one-class Siamese network of a few good images.

Each image's embedding is drawn to that of another good image and, by a weight alpha, to the *anchor*: the embedding
that one of them had before training, which stays where it was and so keeps all from collapsing into a point (the stop
loss): {(d(x, x') + alpha d(x, anchor))^2} / 2, with d the Euclidean distance over the square root of the dimension. The
score is the least of d(x, reference) + alpha d(x, anchor). Training stops once the loss falls by less from epoch to
epoch, as in the public code.

Here the backbone is MobileNet in place of ResNet18, its pooled features through a sigmoid, batch normalization fixed;
alpha, learning rate and epochs, which the paper tunes for each data set, are one choice for all.
"""

import keras
import numpy as np
from keras import layers, ops

from fsad import backbones
from fsad.images import read_images
from fsad.recipes.recipe import thaw

SIDE, ALPHA, LEARNING_RATE, EPOCHS, PATIENCE = 128, 0.5, 1e-5, 30, 2


def scores(shots, weights, rng):
    backbone, loaded = backbones.build("mobilenet", weights, SIDE)
    thaw(backbone, loaded)
    pooled = layers.GlobalAveragePooling2D()(backbone.output)
    embedder = keras.Model(backbone.input, layers.Activation("sigmoid", dtype="float32")(pooled))
    good, test = (
        read_images([s.path for s in samples], SIDE).astype(np.float32)
        for samples in ([*shots.anchors, *shots.good], shots.test)
    )
    anchor = embedder.predict(good[rng.integers(len(good))][None], verbose=0)
    first, second = keras.Input((SIDE, SIDE, 3)), keras.Input((SIDE, SIDE, 3))
    fixed, embedded = keras.Input(anchor.shape[1:]), embedder(first)
    total = Distance()([embedded, embedder(second)]) + ALPHA * Distance()([embedded, fixed])
    model = keras.Model([first, second, fixed], total)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), lambda _, distance: ops.mean(ops.square(distance)) / 2)
    losses, slow = [], 0
    for _ in range(EPOCHS):
        others = (np.arange(len(good)) + rng.integers(1, len(good), len(good))) % len(good)
        pairs = [good, good[others], np.repeat(anchor, len(good), 0)]
        history = model.fit(pairs, np.zeros((len(good), 1)), batch_size=8, verbose=0, shuffle=True)
        losses.append(history.history["loss"][0])
        if len(losses) > 2:
            slow += fall(*losses[-3:-1]) - fall(*losses[-2:]) <= 0.5
            if slow == PATIENCE:
                break
    references, embeddings = (embedder.predict(images, verbose=0) for images in (good, test))
    distances = [
        np.linalg.norm(embeddings - one, axis=1) / np.sqrt(anchor.shape[1]) for one in (*references, anchor[0])
    ]
    return np.min(distances[:-1], axis=0) + ALPHA * distances[-1]


class Distance(layers.Layer):
    """Two embeddings -> Euclidean distance over the square root of the dimension, ``(batch, 1)``."""

    def call(self, inputs):
        first, second = inputs
        return ops.sqrt(ops.mean(ops.square(first - second), axis=1, keepdims=True) + 1e-12)


def fall(before, after):
    """By how many per cent a loss fell."""
    return 100 * (before - after) / before
