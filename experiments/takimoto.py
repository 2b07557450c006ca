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

import cv2
import keras
import numpy as np
from absl import flags

from experiments import data, reports, senarathna
from experiments.tables import Column, Flag, Result, Row, Table
from fsad import attention, images, metrics, pairs, recipes, scoring, siamese, splits, synthetic, training

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
    record = {
        "data": ("synthetic pictures, " if synthetic.is_synthetic(dataset.folder) else "") + dataset.summary(),
        "weights_loaded": recipe.weights,
        "parameters": recipe.model.count_params(),
        "margin": float(recipe.loss.margin),
        "training_seconds": seconds,
        "losses": losses,
        "test": {
            "path": [s.path.relative_to(dataset.folder).as_posix() for s in shots.test],
            "label": [s.label for s in shots.test],
            "kind": [s.kind for s in shots.test],
            "group": [s.group for s in shots.test],
        },
        "attention": localise(recipe, shots.test, test),
    }
    for name, joined in judgements(settings["branch_weight"] if recipe.branch is not None else 0.0).items():
        ours, theirs = joined(known), joined(tested)
        _, nearest = scoring.nearest_class(theirs, ours, labels)
        record["test"][name] = {
            "nearest": nearest.tolist(),
            "centroid": scoring.centroid(theirs, ours[labels == 0]).tolist(),
        }
    return record, {}


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
    """How well attention finds the defects: pixel AUROC of the maps, and of the mean map of all defective pictures.

    The second knows nothing of the picture at hand; what the first has beyond it is attention to the defect.
    None without attention or masks.
    """
    backbone = siamese.parts(recipe.model).backbone
    rows = [k for k, s in enumerate(samples) if s.mask is not None]
    if attention.MAP not in [layer.name for layer in backbone.layers] or not rows:
        return None
    model = keras.Model(backbone.input, backbone.get_layer(attention.MAP).output)
    maps = np.concatenate([np.asarray(model(pictures[[k]].astype(np.float32)))[..., 0] for k in rows])
    mean, found = maps.mean(0), []
    for k, heat in zip(rows, maps, strict=True):
        mask = images.read_mask(samples[k].mask)
        if mask.any() and not mask.all():
            truth = mask.ravel().astype(int)
            found.append([metrics.auroc(truth, cv2.resize(h, mask.shape[::-1]).ravel()) for h in (heat, mean)])
    if not found:
        return None
    own, shared = np.mean(found, axis=0)
    return {"pixel_auroc": float(own), "mean_map": float(shared), "pictures": len(found)}


@functools.cache
def _step_seconds(backbone, position, branch, side, size, batching, precision):
    """Seconds of one training step, measured on noise: the second of two."""
    settings = {**SETTINGS, "backbone": backbone, "position": position, "branch_weight": branch, "side": side,
                "weights": "none", "epochs": 1, "margin": 1.0}  # fmt: skip
    recipe = _recipe(settings)
    rng = np.random.default_rng(0)
    count = size if batching == "pictures" else 2 * size
    pictures = rng.integers(0, 256, (count, recipe.side, recipe.side, 3), np.uint8)
    labels = np.arange(count) % 2
    times = []
    for _ in range(2):
        started = time.perf_counter()
        training.fit_all_pairs(recipe, pictures, labels, rng, "pictures", 2 * count, precision=precision)
        times.append(time.perf_counter() - started)
    return times[1]


def estimate(settings):
    """Seconds of a run, from a measured step."""
    size = settings["step"] or {"pairs": 16, "pictures": 40}[settings["batching"]]
    branch = 1.0 if settings["branch_weight"] else 0.0
    seconds = _step_seconds(settings["backbone"], settings["position"], branch, settings["side"], size,
                            settings["batching"], settings["precision"])  # fmt: skip
    count = settings["normal"] + settings["abnormal"]
    return seconds * settings["epochs"] * pairs.steps(count, settings["batching"], size)


def _draws(records, name, score):
    return [
        {
            "labels": np.array(r["test"]["label"]),
            "scores": np.array(r["test"][name][score]),
            "groups": np.array(r["test"]["group"]),
            "threshold": 0.0,
        }
        for r in records
    ]


def _nearest(labels, scores, threshold):
    """Accuracy, recall of the normal, specificity of the abnormal; a margin above 0 is called abnormal."""
    called = scores > threshold
    return [np.mean(called == labels), *(np.mean((called == labels)[labels == value]) for value in (0, 1))]


def _auc(labels, scores, _):
    return [metrics.auroc(labels, scores)]


def cells(records, name="output_1"):
    """The four cells of a row."""
    out = {}
    for score, statistic, keys in (("centroid", _auc, KEYS[:1]), ("nearest", _nearest, KEYS[1:])):
        draws = _draws(records, name, score)
        values = np.array([statistic(d["labels"], d["scores"], d["threshold"]) for d in draws])
        intervals = metrics.interval(statistic, draws, np.random.default_rng(0), resamples=500)
        out |= {key: reports.spread(values[:, k], intervals[k]) for k, key in enumerate(keys)}
    return out


def report(runs):
    """Results by row; what else was found: both embeddings, attention as a localiser, time."""
    records, results = {}, {}
    for run in runs:
        records.setdefault(run.row.key, (run.row, []))[1].append(run.load()[0])
    lines = [
        "## Beyond the paper",
        "Both: judged by output-1 and output-2 together, the paper's future work. Attention: pixel AUROC of the "
        "attention map against the masks of the defective pictures, beside that of the mean map, which knows nothing "
        "of the picture.",
        "| | AUC, both | Accuracy, both | attention | mean map | margin | s an epoch |\n|" + " --- |" * 7,
    ]
    for key, (row, found) in records.items():
        first = found[0]["settings"]
        counts = sorted({(r["test"]["label"].count(0), r["test"]["label"].count(1)) for r in found})
        tested = " or ".join(f"{normal} + {abnormal}" for normal, abnormal in counts)
        size = first["step"] or {"pairs": 16, "pictures": 40}[first["batching"]]
        note = (
            f"{len(found)} runs, {first['backbone']} from {found[0]['weights_loaded']} weights, {first['normal']} + "
            f"{first['abnormal']} training pictures, {first['epochs']} epochs, {size} {first['batching']} a step, "
            f"Adam at {first['learning_rate']:g}, {tested} test pictures (normal + abnormal)."
        )
        results[key] = Result(cells(found), (note,))
        both = cells(found, "both") if "both" in found[0]["test"] else {}
        shown = [_shown(both.get("auc")), _shown(both.get("accuracy"))]
        for name in ("pixel_auroc", "mean_map"):
            shown.append(_shown(reports.spread([r["attention"][name] for r in found if r["attention"]])))
        shown += [f"{np.mean([r['margin'] for r in found]):.2f}"]
        shown += [f"{np.mean([r['training_seconds'] for r in found]) / first['epochs']:.1f}"]
        lines[-1] += f"\n| {row.title} | " + " | ".join(shown) + " |"
    return results, "\n\n".join(lines), {}


def _shown(cell):
    if not cell or cell["mean"] is None:
        return "–"
    return f"{cell['mean']:.3f}" + ("" if cell["sd"] is None else f" ± {cell['sd']:.3f}")
