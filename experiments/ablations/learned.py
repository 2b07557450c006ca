"""What learns from the shots beside the Detector's default recipe, for `experiments.ablations.few`."""

import dataclasses
import time

import cv2
import keras
import numpy as np
from keras import layers
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from experiments.takimoto.run import nearest_class
from fsad import losses, recipes, scoring, siamese, training
from fsad.images import read_images
from fsad.layers import EuclideanDistance
from fsad.synthetic.shapes import blob

COPIES = 8  # images with a synthetic defect of each good one
PAIRS = 8192  # pairs of patches that a neck is trained on


def read(samples, side):
    return read_images([s.path for s in samples], side)


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
    """Recipe `patches` with a linear layer in its neck, trained on synthetic defects.

    Pairs are a patch of an image with a defect and its nearest patch among the other good images, different where the
    defect is; contrastive loss. The layer starts as the identity, which is the recipe as it was.
    """
    backbone, neck, distance = siamese.parts(recipe.model)
    averaged = keras.Model(neck.input, neck.get_layer("window").output)
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


def linear(settings, shots, rng):
    """Linear discriminant analysis of the pooled features of MobileNet, good against defective."""
    recipe = recipes.patches.build(settings["backbone"], settings["weights"])
    backbone = siamese.parts(recipe.model).backbone

    def pooled(samples):
        return backbone.predict(read(samples, recipe.side), batch_size=16, verbose=0).mean((1, 2))

    begun = time.perf_counter()
    good, bad = pooled([*shots.anchors, *shots.good]), pooled(shots.defective)
    rule = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    rule.fit(np.concatenate([good, bad]), np.repeat([0, 1], [len(good), len(bad)]))
    seconds = time.perf_counter() - begun
    return _record(recipe, rule.decision_function(pooled(shots.test)), seconds)


def takimoto(settings, shots, rng):
    """Paper T's method III on MobileNet, the margin between the nearest abnormal and normal image."""
    recipe = recipes.takimoto.build("mobilenet", settings["weights"], position=10, side=128, learning_rate=1e-4)
    images, labels, seconds = _trained(recipe, settings, shots, rng)
    references, embeddings = (scoring.embed(recipe.model, some) for some in (images, read(shots.test, recipe.side)))
    return _record(recipe, nearest_class(embeddings, references, labels)[1], seconds)


def senarathna(settings, shots, rng):
    """Paper S; with the option ``warm_up``, first trained for that many epochs on synthetic defects."""
    recipe = recipes.senarathna.build()
    begun = time.perf_counter()
    if warm_up := settings["options"].get("warm_up"):
        anchors, good = (read(some, recipe.side) for some in (shots.anchors, shots.good))
        images = np.concatenate([anchors, good, synthesise(good, rng)[0]])
        labels = np.repeat([0, 1], [len(anchors) + len(good), len(good)])
        quick = dataclasses.replace(recipe, epochs=warm_up)
        training.fit(quick, images, labels, rng, precision=settings["precision"])
    warm_seconds = time.perf_counter() - begun
    images, _, seconds = _trained(recipe, settings, shots, rng)
    references = scoring.embed(recipe.model, images[: len(shots.anchors)])
    scores = scoring.score(recipe.model, scoring.embed(recipe.model, read(shots.test, recipe.side)), references)
    return _record(recipe, scores, warm_seconds + seconds)


def _trained(recipe, settings, shots, rng):
    """Trains on the shots; returns their images and labels, and the seconds it took."""
    support = [*shots.anchors, *shots.good, *shots.defective]
    images, labels = read(support, recipe.side), np.array([s.label for s in support])
    begun = time.perf_counter()
    training.fit(recipe, images, labels, rng, precision=settings["precision"])
    return images, labels, time.perf_counter() - begun


def _record(recipe, scores, seconds):
    return {"weights_loaded": recipe.weights, "fit_seconds": seconds, "scores": {"16": np.asarray(scores).tolist()}}
