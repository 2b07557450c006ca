"""How few pictures are enough, and what each piece of the Detector's default recipe is worth.

    python -m experiments.study_few                          # synthetic metal, 10 minutes on two cores
    python -m experiments.study_few --data=magnetic_tile --test_per_class=0
    python -m experiments.study_few --data=skin_cancer       # malignant against benign: another world

What you will see: a row a variant on the same draws, tested on parts it has not seen; below, the recipe from 1 to 16
good pictures, its threshold from 0 to 8 defective ones, and each defect type. The recipe trains nothing, so that no
defect type is ever seen in training, and defective pictures move the threshold alone.
Expected: averaging over windows is worth most, mirrors some; another depth, larger pictures, nothing or less. Random
features are chance.
"""

import dataclasses
import time

import cv2
import keras
import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from experiments import data, reports, senarathna, study
from experiments.tables import Column, Result, Row, Table
from fsad import evaluation, images, metrics, recipes, scoring, siamese, thresholds, training

GOOD, DEFECTIVE = (1, 2, 4, 8, 16), (0, 1, 4, 8)
MASK = 128  # pixels a side that maps and masks are compared at
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
        Row("linear", "linear rule on pooled features", {"method": "linear"}, {}, 5),
        Row("takimoto", "paper T, method III, MobileNet", {"method": "takimoto"}, {}, 5),
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
    notes=("16 good and 8 defective pictures; those who learn from defective ones are the linear rule and paper T.",),
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
    samples = tuple(dataclasses.replace(s, label=int(s.kind == "malignant")) for s in dataset.samples)
    return dataclasses.replace(dataset, samples=samples)


def _read(samples, side):
    return images.read_all([s.path for s in samples], side)


def _patches(settings, shots, rng):
    recipe = recipes.patches(settings["backbone"], settings["weights"], **settings["options"])
    good, defective = ([*shots.anchors, *shots.good], shots.defective)
    begun = time.perf_counter()
    read = _read(good, recipe.side)
    embeddings = scoring.embed(recipe.model, read)
    references = scoring.references(recipe, read, embeddings)
    views, groups = len(recipe.views), np.arange(len(good))
    held, _ = scoring.leave_out(recipe.model, embeddings, groups, references, np.repeat(groups, views))
    theirs = scoring.embed(recipe.model, _read(defective, recipe.side))
    bad = siamese.against(recipe.model, theirs, references)["score"].numpy()
    fit_seconds = time.perf_counter() - begun

    scores = {n: [] for n in GOOD}
    maps, seconds = [], []
    for sample in shots.test:
        begun = time.perf_counter()
        e = scoring.embed(recipe.model, _read([sample], recipe.side))
        found = siamese.against(recipe.model, e, references)
        seconds.append(time.perf_counter() - begun)
        scores[len(good)].append(float(found["score"][0]))
        maps.append(found["map"][0].numpy())
        for n in GOOD[:-1]:
            scores[n].append(float(siamese.against(recipe.model, e, references[: n * views])["score"][0]))
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


def _linear(settings, shots, rng):
    recipe = recipes.patches(settings["backbone"], settings["weights"])
    backbone = siamese.parts(recipe.model).backbone

    def pooled(samples):
        found = backbone.predict(_read(samples, recipe.side), batch_size=16, verbose=0)
        return found.mean((1, 2))

    good, bad = pooled([*shots.anchors, *shots.good]), pooled(shots.defective)
    rule = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    rule.fit(np.concatenate([good, bad]), np.repeat([0, 1], [len(good), len(bad)]))
    return {"scores": {"16": rule.decision_function(pooled(shots.test)).tolist()}, "weights_loaded": recipe.weights}


def _takimoto(settings, shots, rng):
    keras.utils.set_random_seed(settings["seed"])
    recipe = recipes.takimoto("mobilenet", settings["weights"], position=10, side=128, learning_rate=1e-4, epochs=100)
    pictures = _read([*shots.anchors, *shots.good, *shots.defective], recipe.side)
    labels = np.repeat([0, 1], [len(pictures) - len(shots.defective), len(shots.defective)])
    begun = time.perf_counter()
    training.fit_all_pairs(recipe, pictures, labels, rng)
    ours = scoring.embed(recipe.model, pictures)
    theirs = scoring.embed(recipe.model, _read(shots.test, recipe.side))
    _, margins = scoring.nearest_class(theirs, ours, labels)
    return {
        "weights_loaded": recipe.weights,
        "fit_seconds": time.perf_counter() - begun,
        "scores": {"16": margins.tolist()},
    }


METHODS = {"patches": _patches, "linear": _linear, "takimoto": _takimoto}


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
