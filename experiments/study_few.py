"""How few pictures are enough, and what each piece of the Detector's default recipe is worth.

    python -m experiments.study_few                          # synthetic metal, 10 minutes on two cores
    python -m experiments.study_few --data=magnetic_tile --test_per_class=0
    python -m experiments.study_few --data=skin_cancer       # malignant against benign: another world

What you will see: a row a variant on the same draws, tested on parts it has not seen; below, the recipe from 1 to 16
good pictures, its threshold from 0 to 8 defective ones, and each defect type. The recipe trains nothing, so that no
defect type is ever seen in training, and defective pictures move the threshold alone.
Expected: on real tiles the depth of the features is worth most, then that few patches make the score; windows and
mirrors are worth a point each, larger pictures and all that learns less than nothing. Random features are chance.
"""

import dataclasses
import time

import cv2
import keras
import numpy as np
import tensorflow as tf

from experiments import data, few_rivals, reports, senarathna, study
from experiments.few_rivals import read
from experiments.tables import Column, Result, Row, Table
from fsad import evaluation, metrics, recipes, scoring, siamese, thresholds

GOOD, DEFECTIVE = (1, 2, 4, 8, 16), (0, 1, 4, 8)
MASK = 128  # pixels a side that maps and masks are compared at
WARM = {"method": "senarathna", "options": {"warm_up": 15}}
OLD = {"layer": "conv_pw_11_relu", "window": 1, "mirrored": False, "share": 0.05}
TABLE = Table(
    name="study_few",
    title="Few pictures: the Detector's default recipe, its pieces, and others on the same draws",
    columns=(
        Column("auroc", "AUROC"),
        Column("f1_max", "F1-max"),
        Column("pixel_auroc", "Pixel AUROC"),
        Column("aupro", "AUPRO"),
        Column("fit_seconds", "Fit", "{:.1f} s"),
        Column("milliseconds", "A picture", "{:.1f} ms"),
    ),
    rows=(
        Row("patches", "patches, the default", {}, {}, 5),
        Row("no_window", "without averaging over 2 x 2 cells", {"options": {"window": 1}}, {}, 5),
        Row("no_mirrors", "without mirrored references", {"options": {"mirrored": False}}, {}, 5),
        Row("share_1", "score of the farthest 1 % of the patches", {"options": {"share": 0.01}}, {}, 5),
        Row("share_10", "of the farthest 10 %", {"options": {"share": 0.1}}, {}, 5),
        Row("layer_7", "features of conv_pw_7", {"options": {"layer": "conv_pw_7_relu"}}, {}, 5),
        Row("layer_11", "features of conv_pw_11", {"options": {"layer": "conv_pw_11_relu"}}, {}, 5),
        Row("side_224", "pictures at 224 pixels", {"options": {"side": 224}}, {}, 5),
        Row("side_448", "pictures at 448 pixels", {"options": {"side": 448}}, {}, 5),
        Row("before", "the default before: nearest patch, conv_pw_11", {"options": OLD}, {}, 5),
        Row("filter_bank", "no weights: filter bank", {"backbone": "filter_bank"}, {}, 5),
        Row("random", "MobileNet, random weights", {"weights": "none"}, {}, 5),
        Row("neck", "neck trained on synthesised defects", {"options": {"adapted": True}}, {}, 5),
        Row("linear", "linear rule on pooled features", {"method": "linear"}, {}, 5),
        Row("takimoto", "paper T, method III, MobileNet", {"method": "takimoto"}, {}, 5),
        Row("senarathna", "no weights: paper S", {"method": "senarathna"}, {}, 5),
        Row("warm_up", "paper S, warmed up on synthesised defects", WARM, {}, 5),
    ),
    settings={
        "data": "synthetic-metal",
        "method": "patches",
        "backbone": "mobilenet",
        "options": {},
        "weights": "imagenet",
        "epochs": 1,
        "anchors": 8,  # with the good ones: one draw is the same pictures in every table
        "good": 8,
        "defective": 8,
        "hold_out": None,
        "test_per_class": 73,
    },
    unsaid=("method", "epochs", "precision"),  # each rival has its own
    notes=("16 good and 8 defective pictures; only the linear rule and the papers learn from the defective ones.",),
)


def train(settings, on_epoch=lambda loss: None):
    """One variant on one draw, as `experiments.study` calls it."""
    dataset = _labelled(data.load(settings["data"]))
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    record = METHODS[settings["method"]](settings, shots, rng)
    on_epoch(float("nan"))
    keras.backend.clear_session()
    return {"data": data.describe(dataset), "test": data.told(shots.test, dataset), **record}, {}


def _labelled(dataset):
    """Classes benign and malignant as good and defective."""
    if {s.kind for s in dataset.samples} != {"benign", "malignant"}:
        return dataset
    good = {"benign": {"label": 0, "kind": "good"}, "malignant": {"label": 1}}
    samples = tuple(dataclasses.replace(s, **good[s.kind]) for s in dataset.samples)
    return dataclasses.replace(dataset, samples=samples, layout="benign and malignant")


def _patches(settings, shots, rng):
    options = dict(settings["options"])
    learned = options.pop("adapted", False)
    recipe = recipes.patches(settings["backbone"], settings["weights"], **options)
    good, defective = ([*shots.anchors, *shots.good], shots.defective)
    begun = time.perf_counter()
    pictures = read(good, recipe.side)
    if learned:
        keras.utils.set_random_seed(settings["seed"])
        recipe = few_rivals.adapted(recipe, pictures, rng)
    embeddings = scoring.embed(recipe.model, pictures)
    references = scoring.references(recipe, pictures, embeddings)
    views, groups = len(recipe.views), np.arange(len(good))
    held, _ = scoring.leave_out(recipe.model, embeddings, groups, references, np.repeat(groups, views))
    theirs = scoring.embed(recipe.model, read(defective, recipe.side))
    bad = siamese.against(recipe.model, theirs, references)["score"].numpy()
    fit_seconds = time.perf_counter() - begun

    embedder = siamese.embedder(recipe.model)
    held_references = tf.constant(references)

    @tf.function
    def judge(picture):  # as the Detector does
        embedding = embedder(tf.cast(picture, tf.float32), training=False)
        return {**siamese.against(recipe.model, embedding, held_references), "embedding": embedding}

    @tf.function
    def score(embedding, number):
        return siamese.against(recipe.model, embedding, held_references[: number * views])["score"]

    judge(read(shots.test[:1], recipe.side))  # compiles
    scores = {n: [] for n in GOOD}
    maps, seconds = [], []
    for sample in shots.test:
        begun = time.perf_counter()
        found = judge(read([sample], recipe.side))
        scores[len(good)].append(float(found["score"][0]))
        maps.append(found["map"][0].numpy())
        seconds.append(time.perf_counter() - begun)
        for n in GOOD[:-1] if not settings["options"] else ():
            scores[n].append(float(score(found["embedding"], n)[0]))
    cuts = {d: thresholds.choose(held, bad[:d]).value for d in DEFECTIVE}
    return {
        "weights_loaded": recipe.weights,
        "fit_seconds": fit_seconds,
        "milliseconds": 1000 * float(np.median(seconds)),
        "scores": {str(n): found for n, found in scores.items() if found},
        "thresholds": {str(d): cut for d, cut in cuts.items()},
        **_located(maps, shots.test),
    }


def _located(maps, samples):
    masked = [(m, s) for m, s in zip(maps, samples, strict=True) if s.mask is not None or not s.label]
    if not any(s.mask for _, s in masked):
        return {"pixel_auroc": None, "aupro": None}
    areas = [evaluation.pixel_auroc(m, s.mask) for m, s in masked]
    large, masks = [], []
    for m, s in masked:
        large.append(cv2.resize(m, (MASK, MASK), interpolation=cv2.INTER_LINEAR))
        mask = senarathna.mask_at(s, MASK)
        masks.append(np.zeros((MASK, MASK), bool) if mask is None else mask)
    return {"pixel_auroc": float(np.mean([a for a in areas if a is not None])), "aupro": metrics.aupro(large, masks)}


METHODS = {
    "patches": _patches,
    "linear": few_rivals.linear,
    "takimoto": few_rivals.takimoto,
    "senarathna": few_rivals.senarathna,
}


def report(runs):
    """Results by row; then the recipe by numbers of pictures, and every row by defect type."""
    results, rows = {}, reports.by_row(runs)
    for row, found in rows:
        draws = [reports.draw(r["test"], r["scores"]["16"], 0.0) for r in found]
        cells, _ = reports.cells(_statistics, ("auroc", "f1_max"), draws)
        for key in ("pixel_auroc", "aupro", "fit_seconds", "milliseconds"):
            values = [r[key] for r in found if r.get(key) is not None]
            if values:
                cells[key] = reports.spread(values)
        tested = " or ".join(map(str, sorted({len(r["test"]["label"]) for r in found})))
        note = f"{len(found)} draws, {tested} test pictures a draw, weights {found[0]['weights_loaded']}."
        results[row.key] = Result(cells, (note,))
    sections = [reports.by_kind([(row, [(r["test"], r["scores"]["16"]) for r in found]) for row, found in rows])]
    first = next((found for row, found in rows if row.key == "patches"), None)
    if first:
        sections = [_by_number(first), *sections]
    return results, "\n\n".join(sections), {}


def _statistics(labels, scores, _):
    return metrics.auroc(labels, scores), metrics.f1_max(labels, scores)


def _by_number(found):
    lines = [
        "## The default by number of good pictures",
        "",
        "| good pictures | AUROC | F1-max |",
        "| --- | --- | --- |",
    ]
    for n in GOOD:
        values = np.array([_statistics(r["test"]["label"], r["scores"][str(n)], 0) for r in found])
        lines.append(f"| {n} | " + " | ".join(reports.plus_minus(v) for v in values.T) + " |")
    lines += ["", "## Its threshold by number of defective pictures, 16 good", "",
              "| defective pictures | F1 | recall | precision |", "| --- | --- | --- | --- |"]  # fmt: skip
    for d in DEFECTIVE:
        rates = []
        for r in found:
            called = np.array(r["scores"]["16"]) > r["thresholds"][str(d)]
            rates.append(metrics.rates(metrics.confusion(r["test"]["label"], called)))
        cells = (reports.plus_minus([rate[k] for rate in rates]) for k in ("f1", "recall", "precision"))
        lines.append(f"| {d} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    study.main(TABLE, train, report)
