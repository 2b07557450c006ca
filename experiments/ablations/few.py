"""How few images are enough, and what each piece of the Detector's default recipe is worth.

    python -m experiments.ablations.few                          # synthetic metal, 10 minutes on two cores
    python -m experiments.ablations.few --data=magnetic_tile --test_per_class=0
    python -m experiments.ablations.few --data=skin_cancer       # malignant against benign: another world

What you will see: one row per variant on the same draws, tested on held-out parts; below, the recipe from 1 to 16 good
images, its threshold from 0 to 8 defective ones, and each type of defect. The recipe trains nothing, so no type of
defect is ever seen in training, and defective images move the threshold alone.
Expected: on real tiles the depth of the features is worth most, then that few patches make the score; windows and
mirrors are worth a point each, larger images and every learned baseline less than nothing. Random features are chance.
"""

import dataclasses
import time

import cv2
import keras
import numpy as np
import tensorflow as tf

from experiments import data, runner, statistics
from experiments.ablations import learned
from experiments.ablations.learned import read
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from experiments.statistics import section
from fsad import evaluation, metrics, recipes, scoring, siamese, thresholds

GOOD, DEFECTIVE = (1, 2, 4, 8, 16), (0, 1, 4, 8)
MASK = 128  # pixels a side that maps and masks are compared at
BEFORE = {"layer": "conv_pw_11_relu", "window": 1, "mirrored": False, "fraction": 0.05}


def _row(key, title, **settings):
    return Row(key, title, settings, draws=5)


TABLE = Table(
    name="study_few",
    title="Few images: the Detector's default recipe, single-component ablations, and baselines on the same draws",
    columns=(
        Column("auroc", "AUROC"),
        Column("f1_max", "F1-max"),
        Column("pixel_auroc", "Pixel AUROC"),
        Column("aupro", "AUPRO"),
        Column("fit_seconds", "Fit", "{:.1f} s"),
        Column("milliseconds", "Per image", "{:.1f} ms"),
    ),
    rows=(
        _row("patches", "patches, the default"),
        _row("no_window", "without averaging over 2 x 2 cells", options={"window": 1}),
        _row("no_mirrors", "without mirrored references", options={"mirrored": False}),
        _row("fraction_1", "score of the farthest 1 % of the patches", options={"fraction": 0.01}),
        _row("fraction_10", "of the farthest 10 %", options={"fraction": 0.1}),
        _row("layer_7", "features of conv_pw_7", options={"layer": "conv_pw_7_relu"}),
        _row("layer_11", "features of conv_pw_11", options={"layer": "conv_pw_11_relu"}),
        _row("side_224", "images at 224 pixels", options={"side": 224}),
        _row("side_448", "images at 448 pixels", options={"side": 448}),
        _row("before", "the default before: nearest patch, conv_pw_11", options=BEFORE),
        _row("filter_bank", "no weights: filter bank", backbone="filter_bank"),
        _row("random", "MobileNet, random weights", weights="none"),
        _row("neck", "neck trained on synthetic defects", options={"adapted": True}),
        _row("linear", "linear rule on pooled features", method="linear"),
        _row("takimoto", "paper T, method III, MobileNet", method="takimoto"),
        _row("senarathna", "no weights: paper S", method="senarathna"),
        _row("warm_up", "paper S, warmed up on synthetic defects", method="senarathna", options={"warm_up": 15}),
    ),
    settings={
        "data": "synthetic-metal",
        "method": "patches",
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
    hidden_settings=("method", "epochs", "precision"),  # each baseline has its own
    notes=("16 good and 8 defective images; only the linear rule and the papers learn from the defective ones.",),
)


def train(settings, on_epoch=lambda loss: None):
    """One variant on one draw, as `experiments.runner` calls it."""
    dataset = _labelled(data.of(settings))
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    record = METHODS[settings["method"]](settings, shots, rng)
    on_epoch(float("nan"))
    keras.backend.clear_session()
    return {"data": data.describe(dataset, settings), "test": data.test_fields(shots.test, dataset), **record}, {}


def _labelled(dataset):
    """Classes benign and malignant as good and defective."""
    if {s.kind for s in dataset.samples} != {"benign", "malignant"}:
        return dataset
    labels = {"benign": {"label": 0, "kind": "good"}, "malignant": {"label": 1}}
    samples = tuple(dataclasses.replace(s, **labels[s.kind]) for s in dataset.samples)
    return dataclasses.replace(dataset, samples=samples, layout="benign and malignant")


def patches(settings, shots, rng):
    """The default recipe or a variant: scores from each number of good images, thresholds from each of defective ones,
    and how well the maps find the defects."""
    options = dict(settings["options"])
    adapted = options.pop("adapted", False)
    recipe = recipes.patches.build(settings["backbone"], settings["weights"], **options)
    begun = time.perf_counter()
    images = read([*shots.anchors, *shots.good], recipe.side)
    if adapted:
        recipe = learned.adapted(recipe, images, rng)
    model, views, groups = recipe.model, len(recipe.views), np.arange(len(images))
    embeddings = scoring.embed(model, images)
    references = scoring.embed_references(recipe, images, embeddings)
    good_scores, _ = scoring.leave_out(model, embeddings, groups, references, np.repeat(groups, views))
    bad_scores = scoring.compare(model, scoring.embed(model, read(shots.defective, recipe.side)), references).score
    fit_seconds = time.perf_counter() - begun

    embedder, references = siamese.embedder(model), tf.constant(references)

    @tf.function
    def compare(image):  # as the Detector does
        embedding = embedder(tf.cast(image, tf.float32), training=False)
        return embedding, scoring.compare(model, embedding, references)

    @tf.function
    def score(embedding, number):
        return scoring.compare(model, embedding, references[: number * views]).score

    compare(read(shots.test[:1], recipe.side))  # compiles
    numbers = (len(images),) if settings["options"] else GOOD
    scores, maps, seconds = {n: [] for n in numbers}, [], []
    for sample in shots.test:
        begun = time.perf_counter()
        embedding, comparison = compare(read([sample], recipe.side))
        scores[len(images)].append(float(comparison.score[0]))
        maps.append(comparison.anomaly_map[0].numpy())
        seconds.append(time.perf_counter() - begun)
        for n in numbers[:-1]:
            scores[n].append(float(score(embedding, n)[0]))
    return {
        "weights_loaded": recipe.weights,
        "fit_seconds": fit_seconds,
        "milliseconds": 1000 * float(np.median(seconds)),
        "scores": {str(n): values for n, values in scores.items()},
        "thresholds": {str(d): thresholds.choose(good_scores, bad_scores.numpy()[:d]).value for d in DEFECTIVE},
        **_located(maps, shots.test),
    }


def _located(maps, samples):
    masked = [(m, s) for m, s in zip(maps, samples, strict=True) if s.mask is not None or not s.label]
    if not any(s.mask for _, s in masked):
        return {"pixel_auroc": None, "aupro": None}
    areas = [evaluation.pixel_auroc(m, s.mask) for m, s in masked]
    masks = [data.mask_at(s, MASK) for _, s in masked]
    masks = [np.zeros((MASK, MASK), bool) if mask is None else mask for mask in masks]
    large = [cv2.resize(m, (MASK, MASK), interpolation=cv2.INTER_LINEAR) for m, _ in masked]
    return {"pixel_auroc": float(np.mean([a for a in areas if a is not None])), "aupro": metrics.aupro(large, masks)}


METHODS = {
    "patches": patches,
    "linear": learned.linear,
    "takimoto": learned.takimoto,
    "senarathna": learned.senarathna,
}


def report(runs):
    """Results by row; then the recipe by numbers of images, and every row by type of defect."""
    results, rows = {}, by_row(runs)
    for row, records in rows:
        draws = [statistics.draw(r["test"], r["scores"]["16"], 0.0) for r in records]
        cells, _ = statistics.cells(_statistics, ("auroc", "f1_max"), draws)
        for key in ("pixel_auroc", "aupro", "fit_seconds", "milliseconds"):
            if values := [r[key] for r in records if r.get(key) is not None]:
                cells[key] = statistics.spread(values)
        tested = " or ".join(map(str, sorted({len(r["test"]["label"]) for r in records})))
        note = f"{len(records)} draws, {tested} test images per draw, weights {records[0]['weights_loaded']}."
        results[row.key] = Result(cells, (note,))
    default = next((records for row, records in rows if row.key == "patches"), [])
    by_kind = statistics.by_kind([(row, [(r["test"], r["scores"]["16"]) for r in records]) for row, records in rows])
    return results, "\n\n".join(filter(None, [*_by_number(default), by_kind])), {}


def _statistics(labels, scores, _):
    return metrics.auroc(labels, scores), metrics.f1_max(labels, scores)


def _by_number(records):
    good = [
        {
            "good images": n,
            **dict(zip(("AUROC", "F1-max"), _statistics(r["test"]["label"], r["scores"][str(n)], 0), strict=True)),
        }
        for n in GOOD
        for r in records
    ]
    defective = []
    for d in DEFECTIVE:
        for r in records:
            verdicts = np.array(r["scores"]["16"]) > r["thresholds"][str(d)]
            rates = metrics.rates(metrics.confusion(r["test"]["label"], verdicts))
            defective.append(
                {"defective images": d, "F1": rates["f1"], "recall": rates["recall"], "precision": rates["precision"]}
            )
    return (
        section("The default by number of good images", "", good),
        section("Its threshold by number of defective images, 16 good", "", defective),
    )


if __name__ == "__main__":
    runner.main(TABLE, train, report)
