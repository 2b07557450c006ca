"""A variational autoencoder trained on good images (Kingma and Welling 2014; for anomalies An and Cho 2015).

The tower of `experiments.baselines.autoencoder` gives mean m and log variance v of a code z = m + exp(v / 2) noise; the
loss is the squared error of the reconstruction, summed over the image, plus KL(z || N(0, 1)), which is also the score,
without noise.
"""

import keras
import numpy as np
from keras import layers, ops

from experiments.baselines.autoencoder import BATCH, CODE, EPOCHS, decoder, encoder, good_images


class Sampling(layers.Layer):
    """``(m, v) -> m + exp(v / 2) noise``, without noise outside training; adds the divergence to the loss."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator()

    def call(self, inputs, training=False):
        mean, log_variance = inputs
        self.add_loss(ops.mean(divergence(mean, log_variance)))
        if not training:
            return mean
        return mean + ops.exp(log_variance / 2) * keras.random.normal(ops.shape(mean), seed=self.seed)


def divergence(mean, log_variance):
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each row, ``(n,)``."""
    return -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=1)


def squared_error(image, reconstruction):
    """Summed over each image, ``(n,)``."""
    return ops.sum(ops.square(image - reconstruction), axis=(1, 2, 3))


def scores(shots, weights, rng):
    good, test = good_images(shots)
    encode, decode = encoder([CODE, CODE]), decoder()
    model = keras.Model(encode.input, decode(Sampling()(encode.output)))
    model.compile(keras.optimizers.Adam(1e-3), squared_error)
    model.fit(good, good, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    mean, log_variance = encode.predict(test, verbose=0)
    error = squared_error(test, decode.predict(mean, verbose=0))
    return np.asarray(error + divergence(mean, log_variance))
