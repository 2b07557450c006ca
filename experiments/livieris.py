"""Livieris et al. (2023): one run. Train on pictures, crop them to what the model looks at, train again, compare.

Cropping, as in section 4.4: a picture is compared with a random one of its class; if their similarity is above 80 %,
it is cut to the box (`fsad.explain.boxes`) of its Grad-CAM map, else it stays whole. Four ways:

- ``original``: not cropped.
- ``cropped``: by the factual map, the paper's.
- ``magnitude``: by both signs of the map. A distance grows or shrinks with a feature according to which picture has
  more of it, so that what two pictures have in common is as often in the counterfactual as in the factual map.
- ``blind``: the same, and the same model; but a test picture is compared with the training picture most similar to
  it, whatever that shows. The two before ask for the class of a test picture, which is what it is tested on.

Test pairs are one a picture, half of them of one class, as the paper's 432 + 432 are.
"""

import time
from typing import NamedTuple

import keras
import numpy as np
from absl import flags

from experiments import data, keys, livieris_maps, senarathna
from experiments.tables import Column, Flag
from fsad import datasets, images, pairs, recipes, scoring, siamese, splits, training
from fsad.explain import boxes
from fsad.explain.gradcam import gradcam

COLUMNS = (
    Column("accuracy", "Accuracy", "{:.2f}%", 100),
    Column("auc_of_verdicts", "AUC of verdicts"),
    Column("precision", "Precision"),
    Column("recall", "Recall"),
    Column("auc", "AUC of scores"),
)
FLAGS = (
    Flag(flags.DEFINE_string, "backbone", "backbone; resnet50 in the paper"),
    Flag(flags.DEFINE_enum, "variant", "network of the text or of the public code", {"enum_values": ["text", "code"]}),
    Flag(flags.DEFINE_bool, "frozen", "train the layers after the backbone only, the fast mode; not so in the paper"),
    Flag(flags.DEFINE_integer, "side", "side of the pictures in pixels", {"lower_bound": 32}),
    Flag(flags.DEFINE_float, "learning_rate", "of Adam; 5e-6 in the paper's code"),
    Flag(flags.DEFINE_integer, "batch_size", "pairs a step; 4 in the paper's code", {"lower_bound": 1}),
    Flag(flags.DEFINE_integer, "patience", "epochs without a better validation loss", {"lower_bound": 1}),
)
SETTINGS = {
    "backbone": "mobilenet",
    "weights": "imagenet",
    "variant": "text",
    "frozen": True,
    "side": None,
    "learning_rate": 1e-3,
    "batch_size": 32,
    "epochs": 30,
    "patience": 5,
    "similarity": 0.8,
    "trainings": 3,
}
TRAINED = ("original", "cropped", "magnitude")
WAYS = (*TRAINED, "blind")


class Cut(NamedTuple):
    """The box that a picture was cut to, and the share of the picture in it."""

    box: boxes.Box
    share: float


def check(settings):
    """Raises FileNotFoundError or ValueError, in a moment, for settings that no run can be made with."""
    for name in ("distance", "hold_out", "test_per_class"):
        if name in settings:
            raise ValueError(f"Expected no --{name}: this paper's runs have none. Received: {settings[name]}")
    dataset = datasets.load(data.resolve(settings["data"]))
    if dataset.layout != "classes":
        raise ValueError(f"{dataset.folder}: expected one folder a class. Received: the {dataset.layout} layout")


def recipe_of(settings):
    names = ("backbone", "weights", "variant", "frozen", "side", "learning_rate", "batch_size", "epochs", "patience")
    return recipes.livieris(**{name: settings[name] for name in names})


def kept(settings):
    """The folder of a run's three models and of its cropped pictures, of the same name as that of its record."""
    return data.CACHE / "livieris" / keys.key(keys.decides(settings, train))


def train(settings, on_epoch=lambda loss: None):
    """One run, as `experiments.study` calls it."""
    dataset, folder = data.load(settings["data"]), kept(settings)
    rng = np.random.default_rng(settings["seed"])
    fitted, held_out, tested = splits.by_class(dataset, rng)
    known, every = np.concatenate([fitted, held_out]), np.arange(len(dataset.samples))
    labels, groups = (np.array([getattr(s, name) for s in dataset.samples]) for name in ("label", "group"))

    def draw(rows):
        index, told = pairs.livieris(labels[rows], groups[rows], rng)
        return rows[index], told

    fit_pairs, check_pairs = draw(fitted), draw(held_out)
    test_index, test_told = one_each(*draw(tested), rng)
    partner = _of_the_same_class(labels, groups, known, rng)
    runs, cut = {}, {}
    for way in TRAINED:
        paths = [s.path if way == "original" else place(folder, s, dataset, way) for s in dataset.samples]
        # Every way starts from the same weights and sees the pairs in the same order.
        keras.utils.set_random_seed(settings["seed"])
        order = np.random.default_rng([settings["seed"], 1])
        recipe = recipe_of(settings)
        pictures = images.read_all(paths, recipe.side)
        started = time.perf_counter()
        runs[way] = _train(recipe, pictures, known, fit_pairs, check_pairs, order, settings, on_epoch)
        runs[way] |= {"seconds": time.perf_counter() - started}
        folder.mkdir(parents=True, exist_ok=True)
        recipe.model.save(folder / f"{way}.keras")
        if way == "original":
            for signs in TRAINED[1:]:
                cut[signs] = crop(dataset, runs[way], every, partner, settings["similarity"], folder / signs, signs)
            blind = _most_similar(runs[way], tested, known, groups)
            cut["blind"] = crop(
                dataset, runs[way], tested, blind, settings["similarity"], folder / "blind", "magnitude"
            )
    paths = [place(folder, dataset.samples[k], dataset, "blind") for k in tested]
    features = runs["magnitude"]["backbone"].predict(images.read_all(paths, recipe.side), batch_size=32, verbose=0)
    runs["blind"] = {**runs["magnitude"], "embeddings": runs["magnitude"]["embeddings"].copy()}
    runs["blind"]["embeddings"][tested] = scoring.embed(runs["magnitude"]["head"], features)
    record = {
        "data": data.describe(dataset),
        "weights_loaded": recipe.weights,
        "parameters": recipe.model.count_params(),
        "side": recipe.side,
        "trained": {way: {"losses": runs[way]["losses"], "seconds": runs[way]["seconds"]} for way in TRAINED},
        "cut": {
            way: {
                "training": _counted(cut["magnitude" if way == "blind" else way], known),
                "test": _counted(found, tested),
            }
            for way, found in cut.items()
        },
        "located": livieris_maps.located(dataset, runs["original"], tested, partner, cut),
        "test": {
            **data.told([dataset.samples[k] for k in test_index[:, 0]], dataset),
            "second": [data.told([dataset.samples[k]], dataset)["path"][0] for k in test_index[:, 1]],
            "label": test_told[:, 0].astype(int).tolist(),
            **{way: _dissimilarity(runs[way], test_index).tolist() for way in WAYS},
        },
    }
    boxes_of = {way: np.full((len(every), 4), -1) for way in cut}
    for way, found in cut.items():
        for row, one in found.items():
            boxes_of[way][row] = one.box
    return record, {"partner": partner, "rows": test_index, **boxes_of}


def one_each(index, told, rng):
    """Of the two pairs of each picture one, half of them of the same class."""
    first = np.unique(index[:, 0])
    chosen = dict(zip(rng.permutation(first), np.arange(len(first)) % 2, strict=True))
    rows = np.array([chosen[a] == t for a, t in zip(index[:, 0], told[:, 0], strict=True)])
    return index[rows], told[rows]


def _train(recipe, pictures, known, fitted, held_out, rng, settings, on_epoch):
    """Trains; returns the network from the features on, and features and embeddings of all pictures."""
    backbone = siamese.parts(recipe.model).backbone
    features = backbone.predict(pictures, batch_size=32, verbose=0) if settings["frozen"] else pictures
    place = np.full(len(pictures), -1, np.int32)
    place[known] = np.arange(len(known))
    losses = training.fit_pairs(
        recipe, features[known], place[fitted[0]], fitted[1], rng, (place[held_out[0]], held_out[1]),
        callbacks=[senarathna.Progress(on_epoch)], precision=settings["precision"],
    )  # fmt: skip
    if not settings["frozen"]:
        features = backbone.predict(pictures, batch_size=32, verbose=0)
    head = siamese.on_features(recipe.model)
    embeddings = scoring.embed(head, features)
    return {"losses": losses, "backbone": backbone, "head": head, "features": features, "embeddings": embeddings}


def _dissimilarity(run, index, block=256):
    embeddings = run["embeddings"]
    distance = siamese.parts(run["head"]).distance
    parts = [
        distance([embeddings[some[:, 0]], embeddings[some[:, 1]]])
        for some in np.split(index, range(block, len(index), block))
    ]
    return np.concatenate([np.asarray(p)[:, 0] for p in parts])


def _of_the_same_class(labels, groups, known, rng):
    """For each picture a random training picture of its class and not of its group; -1 where there is none."""
    partner = np.full(len(labels), -1, int)
    for k in range(len(labels)):
        others = known[(labels[known] == labels[k]) & (groups[known] != groups[k])]
        if len(others):
            partner[k] = rng.choice(others)
    return partner


def _most_similar(run, tested, known, groups):
    """For each test picture the training picture of the least dissimilarity; -1 for other pictures."""
    embeddings = run["embeddings"]
    partner = np.full(len(groups), -1, int)
    partner[tested] = known[scoring.compare(run["head"], embeddings[tested], embeddings[known]).argmin(1)]
    return partner


def crop(dataset, run, rows, partner, similarity, folder, signs):
    """Cuts pictures to the box of their map against their partner, if they are similar enough, and writes them.

    Args:
        rows: of the data set; all of these are written, cut or whole, one folder a class.
        partner: row of the partner of each row of the data set, -1 where there is none.
        signs: ``"cropped"``, the factual map, or ``"magnitude"``.

    Returns:
        `Cut` by row of the data set, for those that were cut.
    """
    able = rows[partner[rows] >= 0]
    able = able[1 - _dissimilarity(run, np.stack([able, partner[able]], 1)) > similarity]
    heats, found = {}, {}
    for some in (able[k : k + 64] for k in range(0, len(able), 64)):
        maps = gradcam(run["head"], run["features"][some], run["features"][partner[some]], target="same")
        maps = maps.factual if signs == "cropped" else maps.magnitude
        heats.update(zip(some.tolist(), maps[:, 0], strict=True))
    for row in rows.tolist():
        sample = dataset.samples[row]
        picture = images.read(sample.path)
        if row in heats:
            height, width = picture.shape[:2]
            box = boxes.box(heats[row], picture.shape)
            found[row] = Cut(box, box.area / (height * width))
            picture = boxes.crop(picture, box)
        images.write(place(folder.parent, sample, dataset, folder.name), picture)
    return found


def place(folder, sample, dataset, way):
    """Where the cropped picture of a sample is; the ending stays in the name, since it may tell two pictures apart."""
    path = sample.path.relative_to(dataset.folder)
    return folder / way / path.with_name(path.name + ".png")


def _counted(found, rows):
    """How many of these rows were cut, and the mean share of the picture that their boxes keep (None without any)."""
    shares = [found[row].share for row in rows.tolist() if row in found]
    return {"pictures": len(shares), "of": len(rows), "area": float(np.mean(shares)) if shares else None}
