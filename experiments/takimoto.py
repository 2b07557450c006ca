"""Takimoto et al. (2022): the rows of tables 8 to 13, and one run: draw, train on all pairs, judge.

Methods I (backbone alone), II (with attention behind the N-th convolution) and III (with the branch too, weight w),
on 80 normal and 40 (experiment A) or 20 (B) abnormal pictures. Judged by the nearest training picture (accuracy,
recall of the normal, specificity of the abnormal) and by the distance to the centroid of the normal ones (AUC).

The paper's test counts contradict each other: tables 4 and 5 print as many normal as abnormal ones
(``--protocol=printed``, the default), but in tables 9, 10 and 13 accuracy is not the mean of recall and
specificity: it fits 100 normal test pictures (``--protocol=accuracy``).
"""

import functools
import time

import keras
import numpy as np
from absl import flags

from experiments import data, senarathna
from experiments.tables import Column, Flag, Row, Table
from fsad import evaluation, images, pairs, recipes, scoring, siamese, splits, training
from fsad.explain import attention

COLUMNS = (
    Column("auc", "AUC", "{:.4f}"),
    Column("accuracy", "Accuracy"),
    Column("recall", "Recall"),
    Column("specificity", "Specificity"),
)
KEYS = tuple(column.key for column in COLUMNS)
FLAGS = (
    Flag(flags.DEFINE_string, "backbone", "backbone in place of VGG16: vgg16 or mobilenet"),
    Flag(flags.DEFINE_list, "positions", "rows with the attention behind these convolutions only", selects="position"),
    Flag(flags.DEFINE_integer, "runs", "the same as --draws; the paper has 5", {"lower_bound": 1}),
    Flag(flags.DEFINE_enum, "batching", "16 pairs a step, the paper's, or 40 pictures",
         {"enum_values": [*pairs.BATCHINGS]}),
    Flag(flags.DEFINE_integer, "step", "pairs, or pictures, a step", {"lower_bound": 2}),
    Flag(flags.DEFINE_integer, "side", "side of the pictures in pixels", {"lower_bound": 32}),
    Flag(flags.DEFINE_float, "learning_rate", "of Adam; 1e-5 in the paper"),
    Flag(flags.DEFINE_float, "margin", "m of the losses; twice the median distance of different pairs if not given"),
    Flag(flags.DEFINE_integer, "normal", "normal training pictures; 80 in the paper", {"lower_bound": 2}),
    Flag(flags.DEFINE_integer, "abnormal", "abnormal training pictures; 40 or 20 in the paper", {"lower_bound": 2}),
    Flag(flags.DEFINE_enum, "protocol", "test counts: as printed, or as the accuracies imply",
         {"enum_values": ["printed", "accuracy"]}),
)  # fmt: skip
SETTINGS = {
    "backbone": "vgg16",
    "weights": "imagenet",
    "position": None,
    "branch_weight": 0.0,
    "loss": "contrastive",
    "alpha": 4.0,
    "beta": 1.0,
    "margin": None,
    "margin_factor": 2.0,
    "learning_rate": 1e-5,
    "side": None,
    "normal": 80,
    "epochs": 100,
    "batching": "pairs",
    "step": None,
    "hold_out": None,
    "protocol": "printed",
}
DRAWS = 5


def experiment_a(number, category, abnormal, data, printed):
    """Table 8 to 11: sixteen rows, methods I, II and III at five positions, w = 1.0 and 1.5."""
    rows = [("I", "I: backbone", {})]
    rows += [(f"II_{n}", f"II: attention, N = {n}", {"position": n}) for n in recipes.POSITION_NUMBERS]
    for w in (1.0, 1.5):
        rows += [
            (f"III_{w}_{n}", f"III: attention + ABL, w = {w}, N = {n}", {"position": n, "branch_weight": w})
            for n in recipes.POSITION_NUMBERS
        ]
    return _table(number, category, "A", 40, abnormal, data, printed, rows)


def experiment_b(number, category, abnormal, data, printed):
    """Table 12 and 13: fifteen rows, method III with the contrastive and two pair-balanced losses at five positions."""
    rows = []
    for key, title, loss in (
        ("CL", "CL", {}),
        ("PBCL_1", "PBCL, alpha = 4, beta = 1", {"loss": "pair_balanced", "beta": 1.0}),
        ("PBCL_2", "PBCL, alpha = 4, beta = 2", {"loss": "pair_balanced", "beta": 2.0}),
    ):
        rows += [
            (f"{key}_{n}", f"III: {title}, N = {n}", {"position": n, "branch_weight": 1.0, **loss})
            for n in recipes.POSITION_NUMBERS
        ]
    return _table(number, category, "B", 20, abnormal, data, printed, rows)


def _table(number, category, experiment, abnormal, tested, data, printed, rows):
    cells = [dict(zip(KEYS, line.split(), strict=True)) for line in printed.split("\n") if line.strip()]
    return Table(
        name=f"takimoto_table{number}",
        title=f"Table {number}: {category}, experiment {experiment}",
        columns=COLUMNS,
        rows=tuple(
            Row(key, title, settings, cell, draws=DRAWS)
            for (key, title, settings), cell in zip(rows, cells, strict=True)
        ),
        settings={**SETTINGS, "data": data, "abnormal": abnormal, "test_per_class": tested},
        notes=(f"Paper: MVTec AD {category}. Recall is of the normal, specificity of the abnormal pictures.",),
        flags=FLAGS,
    )


def check(settings):
    """Raises FileNotFoundError or ValueError, in a moment, for settings that no run can be made with."""
    senarathna.check({**settings, "anchors": 0, "good": settings["normal"], "defective": settings["abnormal"]})
    recipes.place(settings["backbone"], settings["position"])


def _recipe(settings):
    names = ("backbone", "weights", "position", "branch_weight", "loss", "margin", "margin_factor", "alpha", "beta",
             "side",
             "learning_rate", "epochs")  # fmt: skip
    return recipes.takimoto(**{name: settings[name] for name in names})


def train(settings, on_epoch=lambda loss: None):
    """One training and its test, as `experiments.study` calls it."""
    dataset = data.load(settings["data"])
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    shots = splits.sample_shots(
        dataset,
        rng,
        anchors=0,
        good=settings["normal"],
        defective=settings["abnormal"],
        hold_out=settings["hold_out"],
        test_per_class=settings["test_per_class"] or None,
        test_good=100 if settings["protocol"] == "accuracy" else None,
    )
    recipe = _recipe(settings)
    support = shots.good + shots.defective
    labels = np.array([s.label for s in support])
    pictures, test = (images.read_all([s.path for s in some], recipe.side) for some in (support, shots.test))
    started = time.perf_counter()
    losses = training.fit_all_pairs(
        recipe, pictures, labels, rng, settings["batching"], settings["step"],
        callbacks=[senarathna.Progress(on_epoch)], precision=settings["precision"],
    )  # fmt: skip
    seconds = time.perf_counter() - started
    known, tested = embed(recipe, pictures), embed(recipe, test)
    measured, arrays = localise(recipe, shots.test, test)
    record = {
        "data": data.describe(dataset),
        "weights_loaded": recipe.weights,
        "parameters": recipe.model.count_params(),
        "margin": float(recipe.loss.margin),
        "training_seconds": seconds,
        "losses": losses,
        "test": data.told(shots.test, dataset),
        "attention": measured,
    }
    for name, joined in judgements(settings["branch_weight"] if recipe.branch is not None else 0.0).items():
        ours, theirs = joined(known), joined(tested)
        _, nearest = scoring.nearest_class(theirs, ours, labels)
        record["test"][name] = {
            "nearest": nearest.tolist(),
            "centroid": scoring.centroid(theirs, ours[labels == 0]).tolist(),
        }
    return record, arrays


def judgements(weight):
    """Embeddings to judge by: output-1, as the paper does, and both, its future work, weighed as in the loss."""
    found = {"output_1": lambda outputs: outputs[0]}
    if weight:
        found["both"] = lambda outputs: np.concatenate([outputs[0], np.sqrt(weight) * outputs[1]], axis=1)
    return found


def embed(recipe, pictures, batch_size=16):
    """Output-1 and output-2 ``(n, dim)`` of pictures; output-1 alone without a branch. A list."""
    model = (
        siamese.embedder(recipe.model) if recipe.branch is None else siamese.with_branch(recipe.model, recipe.branch)
    )
    found = [model(pictures[k : k + batch_size].astype(np.float32)) for k in range(0, len(pictures), batch_size)]
    found = [f if isinstance(f, (list, tuple)) else [f] for f in found]
    return [np.concatenate([np.asarray(f[k]) for f in found]) for k in range(len(found[0]))]


def localise(recipe, samples, pictures):
    """How well attention finds the defects.

    Returns:
        ``(measured, arrays)``: pixel AUROC of the maps of the defective pictures with a mask, and of their mean map,
        which knows nothing of the picture at hand: what the first has beyond it is attention to the defect (None
        without masks); and ``maps`` of the first picture of each type, with their ``rows``. Neither without attention.
    """
    if not attention.has_attention(recipe.model):
        return None, {}
    rows = [k for k, s in enumerate(samples) if s.label]
    maps = attention.attention(recipe.model, pictures[rows])
    found = []
    for k, heat in zip(rows, maps, strict=True):
        found.append([evaluation.pixel_auroc(h, samples[k].mask) for h in (heat, maps.mean(0))])
    found = [both for both in found if None not in both]
    kinds = [samples[k].kind for k in rows]
    firsts = [kinds.index(kind) for kind in sorted(set(kinds))]
    arrays = {"rows": np.array(rows)[firsts], "maps": maps[firsts]}
    if not found:
        return None, arrays
    own, shared = np.mean(found, axis=0)
    return {"pixel_auroc": float(own), "mean_map": float(shared), "pictures": len(found)}, arrays


@functools.cache
def _step_seconds(backbone, position, branch, side, pictures, precision):
    """Seconds of one training step on so many pictures, measured on noise: the last of three."""
    settings = {**SETTINGS, "backbone": backbone, "position": position, "branch_weight": branch, "side": side}
    recipe = _recipe({**settings, "weights": "none", "epochs": 3, "margin": 1.0})
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (pictures, recipe.side, recipe.side, 3), np.uint8)
    times = [time.perf_counter()]
    clock = senarathna.Progress(lambda loss: times.append(time.perf_counter()))
    training.fit_all_pairs(
        recipe, noise, np.arange(pictures) % 2, rng, "pictures", 2 * pictures, callbacks=[clock], precision=precision
    )
    return times[-1] - times[-2]


def estimate(settings):
    """Seconds of a run, from a measured step."""
    size = settings["step"] or training.STEP[settings["batching"]]
    pictures = size if settings["batching"] == "pictures" else 2 * size  # 16 pairs are of nearly 32 pictures
    branch = 1.0 if settings["branch_weight"] else 0.0
    seconds = _step_seconds(
        settings["backbone"], settings["position"], branch, settings["side"], pictures, settings["precision"]
    )
    count = settings["normal"] + settings["abnormal"]
    return seconds * settings["epochs"] * pairs.steps(count, settings["batching"], size)
