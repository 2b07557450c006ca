"""A small GANomaly (Akcay et al. 2018): encoder, decoder, encoder, and a discriminator; trained on good images.

The generator learns 1 L_adv + 50 L_con + 1 L_enc: the discriminator's features of image x and reconstruction x' alike
(squared), x' like x (absolute), the code of x' like that of x (squared). The score is the distance of the two codes.
The towers are those of `experiments.baselines.autoencoder`.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from experiments.baselines.autoencoder import BATCH, CODE, EPOCHS, decoder, encoder, good_images

W_ADVERSARIAL, W_CONTEXT, W_ENCODER = 1.0, 50.0, 1.0


def discriminator():
    """Images -> features ``(n, CODE)`` and the logit ``(n, 1)`` of being real."""
    tower = encoder([CODE], "discriminator_tower")
    return keras.Model(tower.input, [tower.output[0], layers.Dense(1)(tower.output[0])], name="discriminator")


def scores(shots, weights, rng):
    good, test = good_images(shots)
    first = encoder([CODE])
    code = first.outputs[0]
    image = decoder()(code)
    generator = keras.Model(first.input, [code, image, encoder([CODE], "second_encoder")(image)[0]])
    critic = discriminator()
    optimizers = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)]
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(real):
        with tf.GradientTape() as tape:
            code, fake, code_of_fake = generator(real, training=True)
            features, features_of_fake = critic(real)[0], critic(fake)[0]
            loss = (
                W_ADVERSARIAL * tf.reduce_mean(tf.square(features - features_of_fake))
                + W_CONTEXT * tf.reduce_mean(tf.abs(real - fake))
                + W_ENCODER * tf.reduce_mean(tf.square(code - code_of_fake))
            )
        variables = generator.trainable_variables
        optimizers[0].apply(tape.gradient(loss, variables), variables)
        with tf.GradientTape() as tape:
            logits = [critic(images, training=True)[1] for images in (real, tf.stop_gradient(fake))]
            loss = sum(cross_entropy(tf.ones_like(x) * y, x) for x, y in zip(logits, (1.0, 0.0), strict=True))
        variables = critic.trainable_variables
        optimizers[1].apply(tape.gradient(loss, variables), variables)

    for _ in range(EPOCHS):
        order = rng.permutation(len(good))
        for start in range(0, len(good) - BATCH + 1, BATCH):
            step(tf.constant(good[order[start : start + BATCH]]))
    code, _, code_of_fake = generator.predict(test, verbose=0)
    return np.abs(code - code_of_fake).mean(1)
