"""A neck trained on synthetic defects, for `experiments.ablations.few`."""

import dataclasses

import cv2
import keras
import numpy as np
from keras import layers

from fsad import losses, siamese
from fsad.layers import EuclideanDistance
from fsad.synthetic.shapes import blob

COPIES = 8  # images with a synthetic defect of each good one
PAIRS = 8192  # pairs of patches that a neck is trained on


def synthesise(images, rng):
    """Defects on good images: a blot that shows another place of some good image, or noise.

    Returns:
        ``(images, masks)``: uint8 ``(n, S, S, 3)`` and bool ``(n, S, S)``.
    """
    side, defective, masks = images.shape[1], [], []
    for image in images:
        shape = blob(side, rng, side * float(np.exp(rng.uniform(np.log(0.02), np.log(0.15)))), soft=1, rough=0.5)
        if rng.random() < 0.5:
            other = np.rot90(images[rng.integers(len(images))], rng.integers(1, 4))
            other = np.roll(other, rng.integers(0, side, 2), (0, 1)) * rng.uniform(0.6, 1.4)
        else:
            grain = rng.normal(0, 1, (rng.integers(4, 64),) * 2).astype(np.float32)
            grain = cv2.resize(grain, (side, side))[..., None]
            other = image.mean((0, 1)) * rng.uniform(0.5, 1.5) + grain * rng.uniform(5, 40)
        blended = image + shape[..., None] * rng.uniform(0.3, 1) * (other - image)
        defective.append(np.clip(blended, 0, 255).astype(np.uint8))
        masks.append(shape > 0.5)
    return np.stack(defective), np.stack(masks)


def adapted(recipe, images, rng, epochs=10):
    """Recipe `patches` of one layer, power 1 and all components, with a linear layer in its neck, trained on synthetic
    defects.

    Pairs are a patch of an image with a defect and its nearest patch among the other good images, different where the
    defect is; contrastive loss. The layer starts as the identity, which is the recipe as it was.
    """
    backbone, neck, distance = siamese.parts(recipe.model)
    averaged = keras.Model(neck.input, neck.get_layer("window_0").output)
    rows, columns, channels = neck.output_shape[1:]
    defective, masks = synthesise(np.repeat(images, COPIES, 0), rng)
    features = [backbone.predict(some, batch_size=16, verbose=0) for some in (images, defective)]
    good, bad = (averaged.predict(f, verbose=0).reshape(len(f), rows * columns, channels) for f in features)
    good_units, bad_units = (f / np.maximum(np.linalg.norm(f, axis=-1, keepdims=True), 1e-12) for f in (good, bad))
    nearest = []
    for k, units in enumerate(bad_units):
        others = np.delete(np.arange(len(good)), k // COPIES)
        chosen = (units @ good_units[others].reshape(-1, channels).T).argmax(1)
        nearest.append(good[others].reshape(-1, channels)[chosen])
    first, second = np.concatenate(nearest), bad.reshape(-1, channels)
    size = {"dsize": (columns, rows), "interpolation": cv2.INTER_AREA}
    defect = np.concatenate([cv2.resize(mask.astype(np.float32), **size).ravel() for mask in masks])
    some = np.concatenate([rng.choice(np.flatnonzero(w), PAIRS // 2) for w in (defect < 0.05, defect > 0.3)])
    different = np.repeat([0.0, 1.0], PAIRS // 2)[:, None]

    sides = keras.Input((channels,)), keras.Input((channels,))
    dense = layers.Dense(channels, use_bias=False, kernel_initializer="identity", name="adapted")
    model = keras.Model(sides, EuclideanDistance()([layers.UnitNormalization(axis=-1)(dense(x)) for x in sides]))
    distances = model.predict([first[some[PAIRS // 2 :]], second[some[PAIRS // 2 :]]], batch_size=512, verbose=0)
    model.compile(keras.optimizers.Adam(1e-4), losses.ContrastiveLoss(margin=2 * float(np.median(distances))))
    model.fit([first[some], second[some]], different, batch_size=256, epochs=epochs, verbose=0)

    maps = keras.Input(backbone.output_shape[1:], name="maps")
    out = layers.UnitNormalization(axis=-1, name="unit")(dense(averaged(maps)))
    return dataclasses.replace(recipe, model=siamese.build(backbone, keras.Model(maps, out, name="neck"), distance))
