"""How few images are enough, and what each piece of the Detector's default recipe is worth.

    python -m experiments.ablations.few                          # synthetic metal
    python -m experiments.ablations.few --data=magnetic_tile
    python -m experiments.ablations.few --data=skin_cancer       # malignant against benign: another world

What you will see: one row per variant on the same draws, tested on held-out parts; below, the recipe from 1 to 16 good
images, its threshold from 0 to 8 defective ones, and each type of defect. A few minutes for each data set on two cores.
No network is trained; defective images weigh the features and set the threshold.
Expected: images of one aspect gain most by keeping it; each other piece is worth a point here and nothing there. Random
features are chance.
"""

import time

import cv2
import keras
import numpy as np
import tensorflow as tf

from experiments import data, runner, statistics
from experiments.ablations import learned
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from experiments.statistics import section
from fsad import evaluation, fusion, input_size, metrics, recipes, scoring, siamese, thresholds
from fsad.images import read_images
from fsad.nearest_patch import UNUSUAL

GOOD, DEFECTIVE = (1, 2, 4, 8, 16), (0, 1, 2, 4, 8)
MASK = 128  # pixels a side that maps and masks are compared at
TIMED = 16  # images
BEFORE = {
    "layers": ["conv_pw_9_relu"],
    "power": 1,
    "components": None,
    "fractions": 0.03,
    "smoothing": 0,
    "usual": False,
    "square": True,
    "cut": True,
}


def _row(key, title, **options):
    return Row(key, title, {"options": options}, draws=5)


TABLE = Table(
    name="study_few",
    title="Few images: the Detector's default recipe and its pieces",
    columns=(
        Column("auroc", "AUROC"),
        Column("f1", "F1"),
        Column("f1_max", "F1-max"),
        Column("pixel_auroc", "Pixel AUROC"),
        Column("aupro", "AUPRO"),
        Column("fit_seconds", "Fit", "{:.1f} s"),
        Column("milliseconds", "Per image", "{:.1f} ms"),
    ),
    rows=(
        _row("patches", "patches, the default"),
        _row("before", "the default before: conv_pw_9 alone, none of the pieces", **BEFORE),
        _row("square", "images squashed to a square", square=True),
        _row("layer_9", "conv_pw_9 alone", layers=["conv_pw_9_relu"]),
        _row("layer_11", "conv_pw_11 alone", layers=["conv_pw_11_relu"]),
        _row("layers_7", "conv_pw_7 as well", layers=["conv_pw_7_relu", "conv_pw_9_relu", "conv_pw_11_relu"]),
        _row("power", "without the square root", power=1),
        _row("components", "all 384 components of each layer", components=None),
        _row("usual", "without what is usual at each place", usual=False),
        _row("smoothing", "without smoothing", smoothing=0),
        _row("fraction_1", "score of the farthest 1 % alone", fractions=0.01),
        _row("fraction_3", "of the farthest 3 % alone", fractions=0.03),
        _row("weigh", "equal weights, whatever is defective", weigh=False),
        _row("cut", "threshold: the best cut of the held-out scores", cut=True),
        _row("window", "without averaging over 2 x 2 cells", window=1),
        _row("mirrors", "without mirrored references", views="none"),
        _row("side_448", "images at 448 pixels", side=448),
        _row("neck", "the default before, its neck trained on synthetic defects", **BEFORE, adapted=True),
        Row("filter_bank", "no weights: filter bank", {"backbone": "filter_bank"}, draws=5),
        Row("lite", "no download: EfficientNet-Lite0", {"backbone": "efficientnet_lite0"}, draws=5),
        Row("random", "MobileNet, random weights", {"weights": "none"}, draws=5),
    ),
    settings={
        "data": "synthetic-metal",
        "backbone": "mobilenet",
        "options": {},
        "weights": "imagenet",
        "epochs": 1,
        "anchors": 8,  # with the good ones: one draw is the same images in every table
        "good": 8,
        "defective": 8,
        "hold_out": None,
        "test_per_class": 73,
    },
    hidden_settings=("epochs", "precision"),
    notes=(
        "16 good and 8 defective images; F1 at the threshold that they set, F1-max at the best there is.",
        "Pixel AUROC: mean over the defective images with a mask. AUPRO: over all images, to a false positive rate of "
        "0.3.",
    ),
)


def train(settings, on_epoch=lambda loss: None):
    """One variant on one draw, as `experiments.runner` calls it."""
    dataset = data.labelled(data.of(settings))
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    record = patches(settings, shots, rng)
    on_epoch(float("nan"))
    keras.backend.clear_session()
    return {"data": data.describe(dataset, settings), "test": data.test_fields(shots.test, dataset), **record}, {}


def patches(settings, shots, rng):
    """The default recipe or a variant: scores and thresholds from each number of defective images, scores from each
    number of good ones, and how well the maps find the defects."""
    options = dict(settings["options"])
    adapted, square, weigh, best_cut = (options.pop(name, default) for name, default in OWN.items())
    good = [*shots.anchors, *shots.good]
    side = options.pop("side", recipes.patches.SIDE)
    size = side if square else input_size.keeping_aspect(good, side, [])
    recipe = recipes.patches.build(settings["backbone"], settings["weights"], side=size, **options)
    begun = time.perf_counter()
    images, groups = images_of(good, recipe), np.array([s.group for s in good])
    recipe.adapt(recipe.model, images)
    if adapted:
        recipe = learned.adapted(recipe, images, rng)
    model, views = recipe.model, len(recipe.views)
    layer, _ = siamese.distance_layer(model)
    embeddings = scoring.embed(model, images)
    references = scoring.embed_references(recipe, images, embeddings)
    held_out = scoring.leave_out(model, embeddings, groups, references, np.repeat(groups, views))
    defective = _distances(layer, scoring.embed(model, images_of(shots.defective, recipe)), references)
    fits = {d: fusion.fit(layer, held_out, defective[:d], groups, weigh) for d in DEFECTIVE}
    fit_seconds = time.perf_counter() - begun

    milliseconds = _time(model, references, shots.test, recipe)
    test = scoring.embed(model, images_of(shots.test, recipe))
    distances, scores, limits = _distances(layer, test, references), {}, {}
    for d, (numbers, good_scores, defective_scores) in fits.items():
        layer.adapt(*numbers)
        scores[str(d)] = np.asarray(layer.score(distances)).tolist()
        limits[str(d)] = _limit(good_scores, defective_scores, best_cut)
    by_good = {}
    for n in GOOD[:-1] if not settings["options"] else ():
        some = slice(n * views)
        if n > 1:
            known = scoring.leave_out(model, embeddings[:n], groups[:n], references[some], np.repeat(groups[:n], views))
            if np.isnan(known).any():
                continue  # all of one part
            layer.adapt(*fusion.fit(layer, known, defective[:0], groups[:n])[0])
        else:
            layer.adapt(*_unfitted(layer))
        by_good[str(n)] = np.asarray(layer.score(_distances(layer, test, references[some]))).tolist()
    layer.adapt(*fits[DEFECTIVE[-1]][0])
    return {
        "weights_loaded": recipe.weights,
        "size": list(recipe.size),
        "fit_seconds": fit_seconds,
        "milliseconds": milliseconds,
        "scores": scores,
        "thresholds": limits,
        "scores_by_good": by_good,
        **_located(np.asarray(layer.anomaly_map(distances)), shots.test),
    }


OWN = {"adapted": False, "square": False, "weigh": True, "cut": False}  # options of the study, not of the network


def _limit(good, defective, best_cut):
    """The threshold; by ``best_cut`` the value that separates best: the earlier default, from 4 defective on."""
    if best_cut and len(defective) >= thresholds.MIN_DEFECTIVE:
        return thresholds.separate(np.repeat([0, 1], [len(good), len(defective)]), np.concatenate([good, defective]))
    return thresholds.choose(good, () if best_cut else defective).value


def images_of(samples, recipe):
    """Images of samples at the size of a recipe, uint8 ``(n, height, width, 3)``."""
    return read_images([s.path for s in samples], recipe.size)


def _distances(layer, embeddings, references, batch=8):
    """`fsad.nearest_patch.NearestPatch.distances`, numpy, a batch at a time."""
    starts, references = range(0, len(embeddings), batch), tf.constant(references)
    maps = [layer.distances(tf.constant(embeddings[k : k + batch]), references).numpy() for k in starts]
    return np.concatenate(maps) if maps else np.zeros((0, *layer.usual_map.shape), np.float32)


def _unfitted(layer):
    """The numbers of a layer before it is fitted: from one good image none can be."""
    count = layer.mean.shape[0]
    return np.full(layer.usual_map.shape, UNUSUAL), np.zeros(count), np.ones(count), np.full(count, 1 / count)


def _time(model, references, samples, recipe):
    """Median milliseconds of an image, from its file to its score and map, one at a time."""
    embedder, references = siamese.embedder(model), tf.constant(references)

    @tf.function
    def compare(image):  # as the Detector does
        return scoring.compare(model, embedder(tf.cast(image, tf.float32), training=False), references)

    seconds = []
    for sample in (samples[0], *samples[:TIMED]):  # the first time compiles
        begun = time.perf_counter()
        compare(images_of([sample], recipe)).score.numpy()
        seconds.append(time.perf_counter() - begun)
    return 1000 * float(np.median(seconds[1:]))


def _located(maps, samples):
    masked = [(m, s) for m, s in zip(maps, samples, strict=True) if s.mask is not None or not s.label]
    if not any(s.mask for _, s in masked):
        return {"pixel_auroc": None, "aupro": None}
    areas = [evaluation.pixel_auroc(m, s.mask) for m, s in masked]
    masks = [data.mask_at(s, MASK) for _, s in masked]
    masks = [np.zeros((MASK, MASK), bool) if mask is None else mask for mask in masks]
    large = [cv2.resize(m, (MASK, MASK), interpolation=cv2.INTER_LINEAR) for m, _ in masked]
    return {"pixel_auroc": float(np.mean([a for a in areas if a is not None])), "aupro": metrics.aupro(large, masks)}


def report(runs):
    """Results by row; then the recipe by numbers of images, and every row by type of defect."""
    results, rows = {}, by_row(runs)
    most = str(DEFECTIVE[-1])
    for row, records in rows:
        draws = [statistics.draw(r["test"], r["scores"][most], r["thresholds"][most]) for r in records]
        cells, _ = statistics.cells(statistics.detection, statistics.DETECTION, draws)
        for key in ("pixel_auroc", "aupro", "fit_seconds", "milliseconds"):
            if values := [r[key] for r in records if r.get(key) is not None]:
                cells[key] = statistics.spread(values)
        tested = " or ".join(map(str, sorted({len(r["test"]["label"]) for r in records})))
        sizes = " or ".join(sorted({"{1} x {0}".format(*r["size"]) for r in records}))
        note = f"{len(records)} draws, {tested} test images per draw, weights {records[0]['weights_loaded']}, {sizes}."
        results[row.key] = Result(cells, (note,))
    default = next((records for row, records in rows if row.key == "patches"), [])
    by_kind = statistics.by_kind([(row, [(r["test"], r["scores"][most]) for r in records]) for row, records in rows])
    return results, "\n\n".join(filter(None, [*_by_number(default), by_kind])), {}


def _by_number(records):
    good = []
    for n in GOOD:
        for r in records:
            scores = r["scores"]["0"] if n == GOOD[-1] else r["scores_by_good"].get(str(n))
            if scores is not None:
                labels = r["test"]["label"]
                good.append({"good images": n, "AUROC": metrics.auroc(labels, scores),
                             "F1-max": metrics.f1_max(labels, scores)})  # fmt: skip
    defective = [_at_threshold(r, d) for d in DEFECTIVE for r in records]
    promise = (
        "Without defective images the threshold promises new good parts a false alarm rate of 1 in 17, from 16 of "
        "them; with some, good and defective are equally likely there. By part: every part counts once, however many "
        "photographs of it there are."
    )
    return (
        section("The default by number of good images", "", good),
        section("Its score and threshold by number of defective images, 16 good", promise, defective),
    )


def _at_threshold(record, d):
    """A line of the second section."""
    labels, scores = np.array(record["test"]["label"]), np.array(record["scores"][str(d)])
    alarms = scores > record["thresholds"][str(d)]
    rates = metrics.rates(metrics.confusion(labels, alarms))
    parts = np.array(record["test"]["group"])[labels == 0]
    false = [alarms[labels == 0][parts == part].mean() for part in np.unique(parts)]
    return {
        "defective images": d,
        "AUROC": metrics.auroc(labels, scores),
        "F1": rates["f1"],
        "recall": rates["recall"],
        "precision": rates["precision"],
        "false alarms": float(alarms[labels == 0].mean()),
        "by part": float(np.mean(false)),
    }


if __name__ == "__main__":
    runner.main(TABLE, train, report)
