"""What the Detector's default recipe is compared with in `experiments.study_few`: those who learn from the pictures."""

import dataclasses
import time

import cv2
import keras
import numpy as np
from keras import layers
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fsad import images, losses, recipes, scoring, siamese, training
from fsad.layers import EuclideanDistance
from fsad.synthetic.shapes import blob

COPIES = 8  # synthesised defective pictures of each good one
PAIRS = 8192  # pairs of patches that a neck is trained on


def read(samples, side):
    return images.read_all([s.path for s in samples], side)


def synthesise(pictures, rng):
    """Defects on good pictures: a blot that shows another place of some good picture, or noise.

    Returns:
        ``(pictures, masks)``: uint8 ``(n, S, S, 3)`` and bool ``(n, S, S)``.
    """
    side, found, masks = pictures.shape[1], [], []
    for picture in pictures:
        shape = blob(side, rng, side * float(np.exp(rng.uniform(np.log(0.02), np.log(0.15)))), soft=1, rough=0.5)
        if rng.random() < 0.5:
            other = np.rot90(pictures[rng.integers(len(pictures))], rng.integers(1, 4))
            other = np.roll(other, rng.integers(0, side, 2), (0, 1)) * rng.uniform(0.6, 1.4)
        else:
            grain = rng.normal(0, 1, (rng.integers(4, 64),) * 2).astype(np.float32)
            grain = cv2.resize(grain, (side, side))[..., None]
            other = picture.mean((0, 1)) * rng.uniform(0.5, 1.5) + grain * rng.uniform(5, 40)
        blended = picture + shape[..., None] * rng.uniform(0.3, 1) * (other - picture)
        found.append(np.clip(blended, 0, 255).astype(np.uint8))
        masks.append(shape > 0.5)
    return np.stack(found), np.stack(masks)


def adapted(recipe, pictures, rng, epochs=10):
    """The recipe `patches`, a linear layer put into its neck and trained on synthesised defects.

    Pairs are a patch of a synthesised picture and its nearest patch among the other good pictures, different where
    the defect is; contrastive loss. The layer starts as the identity, which is the recipe as it was.
    """
    backbone, neck, distance = siamese.parts(recipe.model)
    averaged = keras.Model(neck.input, neck.get_layer("window").output)
    unit = keras.Model(neck.input, neck.output)
    made, masks = synthesise(np.repeat(pictures, COPIES, 0), rng)
    maps, good = (np.concatenate([np.asarray(backbone(some.astype(np.float32), training=False))
                                  for some in np.array_split(p, max(1, len(p) // 16))])
                  for p in (made, pictures))  # fmt: skip
    rows, columns = neck.output_shape[1:3]
    share = np.stack([cv2.resize(m.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA) for m in masks])
    features, units = (np.asarray(m(good)).reshape(len(good), rows * columns, -1) for m in (averaged, unit))
    near, labels, far = [], [], []
    for k, each in enumerate(maps):
        source = k // COPIES
        others = np.delete(np.arange(len(good)), source)
        query = np.asarray(unit(each[None]))[0].reshape(rows * columns, -1)
        chosen = (query @ units[others].reshape(-1, units.shape[-1]).T).argmax(1)
        near.append(features[others].reshape(-1, features.shape[-1])[chosen])
        far.append(np.asarray(averaged(each[None]))[0].reshape(rows * columns, -1))
        labels.append(share[k].ravel())
    near, far, labels = (np.concatenate(v) for v in (near, far, labels))
    some = [rng.choice(np.flatnonzero(w), PAIRS // 2) for w in (labels < 0.05, labels > 0.3)]
    some = np.concatenate(some)

    first, second = keras.Input(features.shape[-1:]), keras.Input(features.shape[-1:])
    dense = layers.Dense(features.shape[-1], use_bias=False, kernel_initializer="identity", name="adapted")
    scaled = [layers.UnitNormalization(axis=-1)(dense(side)) for side in (first, second)]
    model = keras.Model([first, second], EuclideanDistance()(scaled))
    apart = model.predict([near[some[PAIRS // 2 :]], far[some[PAIRS // 2 :]]], batch_size=512, verbose=0)
    model.compile(keras.optimizers.Adam(1e-4), losses.ContrastiveLoss(margin=2 * float(np.median(apart))))
    different = np.repeat([0.0, 1.0], PAIRS // 2)[:, None]
    model.fit([near[some], far[some]], different, batch_size=256, epochs=epochs, verbose=0)

    inputs = keras.Input(backbone.output_shape[1:], name="maps")
    out = layers.UnitNormalization(axis=-1, name="unit")(dense(averaged(inputs)))
    return dataclasses.replace(recipe, model=siamese.build(backbone, keras.Model(inputs, out, name="neck"), distance))


def linear(settings, shots, rng):
    """Linear discriminant analysis of the averaged features of MobileNet, good against defective."""
    recipe = recipes.patches(settings["backbone"], settings["weights"])
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
    """Paper T's method III on MobileNet, the margin between the nearest abnormal and normal picture."""
    keras.utils.set_random_seed(settings["seed"])
    recipe = recipes.takimoto("mobilenet", settings["weights"], position=10, side=128, learning_rate=1e-4, epochs=100)
    pictures = read([*shots.anchors, *shots.good, *shots.defective], recipe.side)
    labels = np.repeat([0, 1], [len(pictures) - len(shots.defective), len(shots.defective)])
    begun = time.perf_counter()
    training.fit_all_pairs(recipe, pictures, labels, rng, precision=settings["precision"])
    seconds = time.perf_counter() - begun
    theirs = scoring.embed(recipe.model, read(shots.test, recipe.side))
    return _record(recipe, scoring.nearest_class(theirs, scoring.embed(recipe.model, pictures), labels)[1], seconds)


def senarathna(settings, shots, rng):
    """Paper S; with the option ``warm_up``, first trained for that many epochs on synthesised defects."""
    keras.utils.set_random_seed(settings["seed"])
    recipe = recipes.senarathna()
    anchors, good, bad = (read(some, recipe.side) for some in (shots.anchors, shots.good, shots.defective))
    begun = time.perf_counter()
    if warm_up := settings["options"].get("warm_up"):
        made, _ = synthesise(good, rng)
        training.fit(dataclasses.replace(recipe, epochs=warm_up), anchors, good, made, rng,
                     precision=settings["precision"])  # fmt: skip
    training.fit(recipe, anchors, good, bad, rng, precision=settings["precision"])
    seconds = time.perf_counter() - begun
    theirs = scoring.embed(recipe.model, read(shots.test, recipe.side))
    return _record(recipe, scoring.score(recipe.model, theirs, scoring.embed(recipe.model, anchors)), seconds)


def _record(recipe, scores, seconds):
    return {"weights_loaded": recipe.weights, "fit_seconds": seconds, "scores": {"16": np.asarray(scores).tolist()}}
