"""One run of Livieris et al. (2023): train on images, crop them to what the model looks at, train again, compare.

Cropping, as in section 4.4: an image is compared with a random one of its class; if their similarity is above 80 %, it
is cropped to the box (`fsad.explain.boxes`, our rule; the paper's is that of Cui et al., its reference 35, which its
text does not repeat) of its Grad-CAM map, else it stays whole. Five ways:

- ``original``: not cropped.
- ``cropped``: by the map of the output y = d, the dissimilarity: equation 1 and the public code, for every pair.
- ``similarity``: by the map of 1 - d, the paper's counterfactual. Ours.
- ``magnitude``: by both signs of the map. A distance grows or shrinks with a feature according to which image has more
  of it, so what two images have in common is as often in the one as in the other map. Ours.
- ``blind``: the same, with the same model, but a test image is compared with the most similar training image, whatever
  that shows. The other three use the class of a test image, which is what the test asks for.

The paper's 432 + 432 test pairs fit two readings. ``split="text"``: 20 % of the images, one pair of each, half of them
of one class. ``split="code"``: 10 %, two pairs of each, one of its class and one of another, as in the public code.
"""

import inspect
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import keras
import numpy as np

from experiments import data, digests
from experiments.livieris import location
from fsad import inputs, pairs, scoring, siamese, splits, training
from fsad.explain.boxes import bounding_box, crop
from fsad.explain.gradcam import pair_maps
from fsad.images import resize
from fsad.recipes import Recipe, livieris

RECIPE = {name: argument.default for name, argument in inspect.signature(livieris.build).parameters.items()}
# The fast mode, for a CPU.
RECIPE |= {
    "backbone": "mobilenet",
    "frozen": True,
    "learning_rate": 1e-3,
    "batch_size": 32,
    "epochs": 30,
}
FAST_PATIENCE = 5
SETTINGS = {**RECIPE, "split": "text", "similarity": 0.8, "trainings": 4}
TEST_FRACTIONS = {"text": 0.2, "code": 0.1}
TRAINED = ("original", "cropped", "similarity", "magnitude")
WAYS = (*TRAINED, "blind")


class Model(NamedTuple):
    """A trained model: its recipe; ``head``, the network from the features on; features and embeddings of all images;
    losses and seconds of the training."""

    recipe: Recipe
    head: keras.Model
    features: np.ndarray
    embeddings: np.ndarray
    losses: list
    seconds: float

    def dissimilarity(self, index):
        """Of pairs of images ``(P, 2)``: ``(P,)``."""
        sides = [self.embeddings[index[:, side]] for side in (0, 1)]
        return np.asarray(siamese.parts(self.head).distance(sides))[:, 0]


def check(settings):
    """Raises FileNotFoundError or ValueError, in a moment, for settings that no run can be made with."""
    dataset = inputs.load(data.resolve(settings["data"]))
    if dataset.layout != "classes":
        raise ValueError(f"{dataset.folder}: expected one folder per class. Received: the {dataset.layout} layout")


def models_folder(settings):
    """The folder of a run's models, named like that of its record."""
    return data.CACHE / "livieris" / digests.key(digests.decides(settings, train))


def train(settings, on_epoch=lambda loss: None):
    """One run, as `experiments.runner` calls it."""
    dataset, rng = data.of(settings), np.random.default_rng(settings["seed"])
    samples, folder = dataset.samples, models_folder(settings)
    fit_rows, validation_rows, test_rows = splits.by_class(dataset, rng, TEST_FRACTIONS[settings["split"]])
    known = np.concatenate([fit_rows, validation_rows])
    labels, groups = (np.array([getattr(sample, name) for sample in samples]) for name in ("label", "group"))

    def draw(rows):
        index, pair_labels = pairs.class_pairs(labels[rows], groups[rows], rng)
        return rows[index], pair_labels

    fit_pairs, validation_pairs = draw(fit_rows), draw(validation_rows)
    test_pairs, test_labels = tested(settings["split"], *draw(test_rows), rng)
    partner = _partners_of_the_same_class(labels, groups, known, rng)
    masks = location.object_masks(samples, test_rows[partner[test_rows] >= 0])

    models, maps, boxes, fractions = {}, {"original": {}}, {}, {}
    for way in TRAINED:
        keras.utils.set_random_seed(settings["seed"])  # every way starts from the same weights
        recipe = build(settings)
        images, boxes[way], fractions[way] = read_cropped(samples, maps[way], recipe.side)
        features = _features(recipe, images, maps[way], models.get("original")) if settings["frozen"] else None
        models[way] = model = _fit(recipe, images, features, known, fit_pairs, validation_pairs, settings, on_epoch)
        folder.mkdir(parents=True, exist_ok=True)
        recipe.model.save(folder / f"{way}.keras")
        if way == "original":
            every, similarity = np.arange(len(samples)), settings["similarity"]
            maps |= _maps_of_similar(model, every, partner, similarity)
            nearest = _most_similar(model, test_rows, known)
            maps["blind"] = _maps_of_similar(model, test_rows, nearest, similarity)["magnitude"]
    images, boxes["blind"], fractions["blind"] = read_cropped(samples, maps["blind"], recipe.side)
    models["blind"] = _with_images(models["magnitude"], images, test_rows)
    del boxes["original"], fractions["original"]
    record = {
        "data": data.describe(dataset, settings),
        "weights_loaded": recipe.weights,
        "parameters": recipe.model.count_params(),
        "side": recipe.side,
        "trained": {way: {"losses": models[way].losses, "seconds": models[way].seconds} for way in TRAINED},
        "crops": {
            way: {
                "training": _count(fractions["magnitude" if way == "blind" else way][known]),
                "test": _count(fractions[way][test_rows]),
            }
            for way in boxes
        },
        "located": _located(models["original"], samples, partner, masks, boxes),
        "test": {
            **data.test_fields([samples[row] for row in test_pairs[:, 0]], dataset),
            "second": [data.path_of(samples[row], dataset) for row in test_pairs[:, 1]],
            "label": test_labels[:, 0].astype(int).tolist(),
            **{way: models[way].dissimilarity(test_pairs).tolist() for way in WAYS},
        },
    }
    return record, {"partner": partner, "rows": test_pairs, **boxes}


def build(settings):
    """The recipe of a run, untrained. In the fast mode of the text's network, which states no patience, five epochs are
    enough at the larger learning rate."""
    fast = settings["frozen"] and settings["variant"] == "text"
    patience = settings["patience"] or (FAST_PATIENCE if fast else None)
    return livieris.build(**{name: settings[name] for name in RECIPE} | {"patience": patience})


def tested(split, index, pair_labels, rng):
    """The pairs of the test: in the split of the code both pairs of each image; in that of the text one, half of them
    of the same class."""
    if split == "code":
        return index, pair_labels
    first = np.unique(index[:, 0])
    label_of = dict(zip(rng.permutation(first), np.arange(len(first)) % 2, strict=True))
    chosen = np.array([label_of[row] == label for row, label in zip(index[:, 0], pair_labels[:, 0], strict=True)])
    return index[chosen], pair_labels[chosen]


def _partners_of_the_same_class(labels, groups, known, rng):
    """For each image a random training image of its class and not of its group; -1 where there is none."""
    partner = np.full(len(labels), -1)
    for row in range(len(labels)):
        others = known[(labels[known] == labels[row]) & (groups[known] != groups[row])]
        if len(others):
            partner[row] = rng.choice(others)
    return partner


def _most_similar(model, test_rows, known):
    """For each test image the training image of the least dissimilarity; -1 for other images."""
    partner = np.full(len(model.embeddings), -1)
    values = scoring.dissimilarities(model.head, model.embeddings[test_rows], model.embeddings[known])
    partner[test_rows] = known[values.argmin(1)]
    return partner


def read_cropped(samples, maps, side):
    """Reads all samples at one side, each cropped to the box of its map; those without a map, by row, stay whole.

    Returns:
        ``(images, boxes, fractions)``: ``(n, side, side, 3)``; ``(n, 4)``, -1 where whole; and ``(n,)`` of the image
        in the box, NaN where whole.
    """

    def read(row):
        image = samples[row].read()
        if row not in maps:
            return resize(image, side), (-1,) * 4, np.nan
        box = bounding_box(maps[row], image.shape)
        return resize(crop(image, box), side), box, box.area / (image.shape[0] * image.shape[1])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return tuple(map(np.array, zip(*pool.map(read, range(len(samples))), strict=True)))


def _features(recipe, images, maps, original):
    """Feature maps of a frozen backbone; of images that are not cropped they are those of the original."""
    backbone = siamese.parts(recipe.model).backbone
    if original is None:
        return backbone.predict(images, batch_size=32, verbose=0)
    features, rows = original.features.copy(), np.array([*maps], int)
    if len(rows):
        features[rows] = backbone.predict(images[rows], batch_size=32, verbose=0)
    return features


def _fit(recipe, images, features, known, fit_pairs, validation_pairs, settings, on_epoch):
    """Trains a recipe on pairs of the known images, in the same order for every way; ``features`` as `_features`."""
    started = time.perf_counter()
    position = np.full(len(images), -1, np.int32)
    position[known] = np.arange(len(known))
    losses = training.fit(
        recipe,
        (images if features is None else features)[known],
        np.zeros(len(known)),  # the pairs are given
        np.random.default_rng([settings["seed"], 1]),
        pairs=(position[fit_pairs[0]], fit_pairs[1]),
        validation=(position[validation_pairs[0]], validation_pairs[1]),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(logs["loss"]))],
        precision=settings["precision"],
    )
    if features is None:
        features = siamese.parts(recipe.model).backbone.predict(images, batch_size=32, verbose=0)
    head = siamese.on_features(recipe.model)
    return Model(recipe, head, features, scoring.embed(head, features), losses, time.perf_counter() - started)


def _with_images(model, images, rows):
    """The model with the embeddings of other images in these rows; its features stay."""
    features = siamese.parts(model.recipe.model).backbone.predict(images[rows], batch_size=32, verbose=0)
    embeddings = model.embeddings.copy()
    embeddings[rows] = scoring.embed(model.head, features)
    return model._replace(embeddings=embeddings)


def _maps(model, rows, partner):
    """Grad-CAM maps of images against their partners, factual for their dissimilarity."""
    return pair_maps(model.head, model.features[rows], model.features[partner[rows]], target="different")


def _maps_of_similar(model, rows, partner, similarity):
    """Maps by way and row, of the images whose similarity to their partner is above a limit.

    Args:
        partner: row of the partner of each image, -1 where there is none.
    """
    rows = rows[partner[rows] >= 0]
    rows = rows[1 - model.dissimilarity(np.stack([rows, partner[rows]], 1)) > similarity]
    by_way = {"cropped": {}, "similarity": {}, "magnitude": {}}
    for some in (rows[k : k + 64] for k in range(0, len(rows), 64)):
        maps = _maps(model, some, partner)
        for way, values in zip(by_way, (maps.factual, maps.counterfactual, maps.magnitude), strict=True):
            by_way[way] |= zip(some.tolist(), values[:, 0], strict=True)
    return by_way


def _count(fractions):
    """How many images were cropped, and the mean fraction of the image in the box (None without any)."""
    cropped = fractions[np.isfinite(fractions)]
    return {"images": len(cropped), "of": len(fractions), "area": float(cropped.mean()) if len(cropped) else None}


def _located(model, samples, partner, masks, boxes):
    """`experiments.livieris.location.located` for the maps of a model; None without masks."""
    rows = np.array([*masks], int)
    return location.located(_maps(model, rows, partner), samples, masks, boxes) if len(rows) else None
