"""A convolutional autoencoder trained on good images; the score is the error of the reconstruction.

Hinton and Salakhutdinov (2006), with convolutions as in Bergmann et al. (2018). 64 pixels, a code of 64 numbers, mean
squared error, Adam; each image in four mirrors.
"""

import keras
import numpy as np
from keras import layers

from fsad.augment import MIRRORS
from fsad.images import read_images

SIDE, CODE, EPOCHS, BATCH = 64, 64, 100, 16


def good_images(shots):
    """The good images in four mirrors, float32 in [0, 1], and the test images likewise, not mirrored."""
    good, test = (
        read_images([s.path for s in samples], SIDE).astype(np.float32) / 255
        for samples in ([*shots.anchors, *shots.good], shots.test)
    )
    return np.concatenate([mirror(good) for mirror in MIRRORS]), test


def encoder(outputs, name="encoder"):
    """Images -> each of ``outputs`` (numbers), from one tower of convolutions."""
    image = x = keras.Input((SIDE, SIDE, 3))
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 4, strides=2, padding="same", activation="leaky_relu")(x)
    x = layers.Flatten()(x)
    return keras.Model(image, [layers.Dense(size)(x) for size in outputs], name=name)


def decoder():
    """A code -> an image in [0, 1]."""
    code = keras.Input((CODE,))
    x = layers.Reshape((SIDE // 8, SIDE // 8, 64))(layers.Dense(SIDE * SIDE, activation="leaky_relu")(code))
    for filters in (32, 16):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", activation="leaky_relu")(x)
    return keras.Model(code, layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="sigmoid")(x))


def scores(shots, weights, rng):
    good, test = good_images(shots)
    encode = encoder([CODE])
    model = keras.Model(encode.input, decoder()(encode.outputs[0]))
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.fit(good, good, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return np.square(model.predict(test, verbose=0) - test).mean((1, 2, 3))
