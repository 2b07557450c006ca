"""One run: fit a detector to a few images, explain some defective ones by every method, measure the maps."""

import time

import keras
import numpy as np

import fsad
from experiments import data
from fsad import metrics
from fsad.explain import controls, faithfulness, methods
from fsad.images import resize

EXPLAINED, CHECKED = 6, 2  # defective images that are explained, and of these, that what takes many passes is done for
STEPS = 5  # of deletion and insertion
# Fewer passes than by default, for the time.
OPTIONS = {
    "smoothgrad": {"samples": 4},
    "integrated_gradients": {"steps": 8},
    "scorecam": {"channels": 32},
    "occlusion": {"window": 1 / 3},
    "lime": {"samples": 32, "count": 25},
    "sinex": {"count": 25},
    "sinexc": {"alpha": 32, "count": 25},
}
CONTROLS = {"random": controls.random_maps, "edges": controls.edge_maps}
AGAINST_MASKS = ("pixel_auroc", "pointing_game", "relevance_mass", "relevance_rank")
OTHER_THINGS = "synthetic-leather"  # the references that a map has to change with
SETTINGS = {
    "recipe": "patches",
    "backbone": "mobilenet",
    "options": {},  # of the recipe
    "methods": None,  # all that the network has
    "weights": "imagenet",
    "epochs": 1,
    "anchors": 8,
    "good": 8,
    "defective": 8,
    "hold_out": None,
    "test_per_class": 24,
}


def check(settings):
    """Raises FileNotFoundError or ValueError, in a moment, for settings that no run can be made with."""
    data.shots(data.labelled(data.of(settings)), settings, np.random.default_rng(0))


def train(settings, on_epoch=lambda loss: None):
    """One fit and all its explanations, as `experiments.runner` calls it.

    Returns:
        ``(record, arrays)``. The record holds, by method, each measure of each image, a list; the arrays hold the
        images that were explained, their masks, and their maps by method.
    """
    dataset, rng = data.labelled(data.of(settings)), np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    detector = _detector(settings)
    good, defective = [*shots.anchors, *shots.good], shots.defective
    detector.fit([s.read() for s in good], [s.read() for s in defective], progress=False)
    comparer, references = methods.of(detector.fitted)
    test = np.stack([resize(s.read(), detector.size) for s in shots.test])
    labels, scores = np.array([s.label for s in shots.test]), comparer.values(test, references)
    masks = [data.mask_at(s, detector.size) if s.label else None for s in shots.test]
    rows = [k for k, mask in enumerate(masks) if mask is not None and not mask.all()]
    rows = by_turns(rows, [shots.test[k].kind for k in rows])[:EXPLAINED]
    if not rows:
        raise ValueError(f"Expected test images with a defect mask. Received: none in {settings['data']}")
    images, masks = test[rows], np.stack([masks[k] for k in rows])
    others = comparer.references(_other_things(detector.size, len(references.images)))
    measured, arrays = {}, {"images": images, "masks": masks}
    for name in (*(settings["methods"] or methods.available(comparer.model)), *CONTROLS):
        measured[name], arrays[f"maps {name}"] = measure(
            name, comparer, images, masks, references, others, float(scores.std()), settings["seed"]
        )
    on_epoch(float("nan"))
    record = {
        "data": data.describe(dataset, settings),
        "weights_loaded": detector.fitted.weights,
        "size": list(detector.size),
        "test": data.test_fields(shots.test, dataset),
        "scores": scores.tolist(),
        "auroc": metrics.auroc(labels, scores),
        "explained": rows,
        "area": [float(mask.mean()) for mask in masks],
        "measured": measured,
    }
    keras.backend.clear_session()
    return record, arrays


def by_turns(rows, kinds):
    """Rows in the order in which every kind has its turn."""
    turns = [kinds[:k].count(kind) for k, kind in enumerate(kinds)]
    return [rows[k] for k in sorted(range(len(rows)), key=turns.__getitem__)]


def _detector(settings):
    given = {"backbone": settings["backbone"], **settings["options"]}
    if settings["backbone"] != "custom_cnn":  # paper S's own network has no weights to start from
        given["weights"] = settings["weights"]
    options = {"folds": 0, "seed": settings["seed"], "precision": settings["precision"]}
    return fsad.Detector(settings["recipe"], **options, **given)


def measure(name, comparer, images, masks, references, others, scale, seed):
    """Every measure of one method.

    Args:
        name: of the method, or a key of `CONTROLS`.
        others: references that show something else.
        scale: deviation of the scores, by which deletion and insertion are divided.

    Returns:
        ``(by measure, maps)``: an item for each image, a list, but for ``aupro`` and ``seconds`` per map.
    """

    def explain(comparer, images, references):
        if name in CONTROLS:
            return CONTROLS[name](comparer, images, references)
        return methods.explain(comparer, images, references, method=name, **OPTIONS.get(name, {}))

    explain(comparer, images[:1], references)  # compiles
    begun = time.perf_counter()
    maps = explain(comparer, images, references)
    seconds = (time.perf_counter() - begun) / len(images)
    full = [faithfulness.resized(one, images.shape[1:3]) for one in maps]
    measures = {
        key: [getattr(faithfulness, key)(one, mask) for one, mask in zip(full, masks, strict=True)]
        for key in AGAINST_MASKS
    }
    measures["mean_map"] = [faithfulness.pixel_auroc(np.mean(full, axis=0), mask) for mask in masks]
    measures |= {"aupro": metrics.aupro(full, masks), "seconds": seconds}
    some, known, rng = images[:CHECKED], maps[:CHECKED], np.random.default_rng(seed)
    for fill in ("blur", "reference"):
        curves = faithfulness.deletion_and_insertion(comparer, some, references, known, fill, STEPS)
        measures[f"gain_{fill}"] = (curves.gain / scale).tolist()
    # The whole network at once: the last stage of the cascade, which a map must not survive.
    shuffled = faithfulness.cascading_randomisation(comparer, some, references, known, explain, rng, stages=1)
    measures["shuffled"] = shuffled[-1].tolist()
    measures["other_references"] = faithfulness.reference_randomisation(comparer, some, others, known, explain).tolist()
    shifted, brighter = faithfulness.stability(comparer, some, references, known, explain)
    measures |= {"shifted": shifted.tolist(), "brighter": brighter.tolist()}
    if name == "integrated_gradients":
        baselines = comparer.nearest(images, references)
        change = comparer.values(images, references) - comparer.values(baselines, references)
        measures["completeness"] = faithfulness.completeness(maps, change).tolist()
    return measures, np.stack([faithfulness.resized(one, (64, 64)) for one in maps])


def _other_things(size, count):
    samples = [s for s in data.load(OTHER_THINGS).samples if not s.label][:count]
    return np.stack([resize(s.read(), size) for s in samples])
