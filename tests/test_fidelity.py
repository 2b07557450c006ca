"""Each line of docs/fidelity.md that is marked ✓ holds, and every place it names is there."""

import ast
import functools
import inspect
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from experiments.livieris import run as run_l
from experiments.livieris import table1 as table_l
from experiments.senarathna import run as run_s
from experiments.senarathna import table1 as table_s
from experiments.senarathna import table3 as table_s3
from experiments.takimoto import run as run_t
from experiments.takimoto import tables as tables_t
from fsad import attention, augment, backbones, losses, pairs, siamese, splits
from fsad.explain import gradcam, saliency
from fsad.recipes import livieris, senarathna, takimoto

ROOT = Path(__file__).parent.parent
LINE = re.compile(r"\| ([STL]\d+) \| .*? \| .*? \| \[`(.*?)`\]\(\.\./(.*?)\) \| .*? \| (✓?) ?\|")
ROWS = [LINE.fullmatch(line).groups() for line in (ROOT / "docs/fidelity.md").read_text().splitlines()
        if re.match(r"\| [STL]\d", line)]  # fmt: skip


@functools.cache
def recipe_s():
    return senarathna.build()


@functools.cache
def recipe_t(position=10, branch_weight=1.0, **settings):
    return takimoto.build("vgg16", "none", position, branch_weight, **settings)


@functools.cache
def recipe_l(variant="text"):
    return livieris.build("resnet50", "none", variant)


def kinds(model):
    """Names of the classes of a model's layers, inputs left out."""
    return [type(layer).__name__ for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def backbone_of(recipe):
    return siamese.parts(recipe.model).backbone


def default(function, name):
    return inspect.signature(function).parameters[name].default


def printed(table, key):
    """The cells of a row as the paper prints them, in order."""
    return [*next(row for row in table.rows if row.key == key).paper.values()]


def convolutions():
    return [layer for layer in backbone_of(recipe_s()).layers if isinstance(layer, keras.layers.Conv2D)]


def augmented():
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(1, 4, 4, 3)
    return image[0], np.asarray(augment.expand(image))


def brightness_changes():
    image, expanded = augmented()
    return expanded[6].mean() > image.mean() > expanded[7].mean()


def geometric():
    image, expanded = augmented()
    expected = (image, np.rot90(image, -1), np.rot90(image, 2), np.rot90(image, 1), image[:, ::-1], image[::-1])
    return all(any((one == other).all() for other in expanded) for one in expected)


def contrastive_by_hand():
    loss = losses.ContrastiveLoss(margin=2.0)
    values = loss.call(np.array([[0.0], [1.0]], np.float32), np.array([[1.0], [0.5]], np.float32))
    return np.allclose(values, [[0.5], [1.125]])  # 1^2 / 2, (2 - 0.5)^2 / 2


def pair_balanced_by_hand():
    loss = losses.PairBalancedContrastiveLoss(margin=2.0, alpha=4.0, beta=3.0)
    labels = np.array([[0, 1], [0, 0], [1, 1]], np.float32)  # normal pair, abnormal pair, mixed
    return np.allclose(loss.call(labels, np.ones((3, 1), np.float32)), [[0.5], [2.0], [1.5]])


def pair_counts(abnormal):
    labels = np.repeat([0, 1], [80, abnormal])
    _, both = pairs.all_pairs_with_normal(labels)
    different, normal = both.T
    return [int(((normal == 1) & (different == 0)).sum()), int((normal == 0).sum()), int(different.sum())]


def mechanism():
    image = keras.Input((8, 8, 3))
    model = attention.insert(keras.Model(image, keras.layers.Conv2D(6, 1, name="a")(image)), "a")
    return [layer for layer in model.layers if layer.name.startswith("attention")]


def total_of(row):
    return recipe_t().branch_weight == row.settings["branch_weight"]


def class_pairs_of(count=20):
    labels = np.repeat([0, 1], count // 2)
    return pairs.class_pairs(labels, np.arange(count), np.random.default_rng(0)), labels


def counterfactual_is_the_negative():
    image, maps = keras.Input((8, 8, 3)), keras.Input((8, 8, 2))
    backbone = keras.Model(image, keras.layers.Conv2D(2, 1)(image), name="backbone")
    neck = keras.Model(maps, keras.layers.GlobalAveragePooling2D()(maps), name="neck")
    model = siamese.build(backbone, neck, siamese.distance_head(2, "euclidean"))
    images = np.random.default_rng(0).uniform(0, 1, (2, 1, 8, 8, 3)).astype(np.float32)
    explanation = gradcam.pair_maps(model, *images)
    return np.allclose(explanation.raw, -explanation.raw_counterfactual)


def first_rows(split):
    index = np.stack([np.tile(np.arange(432), 2), np.tile(np.arange(432), 2)], 1)
    labels = np.repeat([0.0, 1.0], 432)[:, None]
    return run_l.tested(split, index, labels, np.random.default_rng(0))[1]


CHECKS = {
    "S1": lambda: [run_s.SETTINGS[k] for k in ("anchors", "good", "defective")] == [8, 8, 8],
    "S2": geometric,
    "S3": brightness_changes,
    "S4": lambda: len(augment.expand(np.zeros((8, 4, 4, 3), np.uint8))) == 64,
    "S5": lambda: [len(f(np.repeat([0, 1], [16, 8]))[0]) for f in senarathna.PAIRINGS.values()] == [16, 128],
    "S6": lambda: pairs.anchor_pairs([0, 0, 1])[1][:, 0].tolist() == [0, 1],
    "S7": lambda: (
        [kinds(backbone_of(recipe_s())).count(k) for k in ("Conv2D", "MaxPooling2D")] == [4, 3]
        and kinds(siamese.parts(recipe_s().model).neck) == ["Flatten", "Dense"]
    ),
    "S8": lambda: [(c.filters, c.kernel_size[0]) for c in convolutions()] == [(64, 10), (128, 7), (128, 4), (256, 4)],
    "S9": lambda: round(run_s.size_megabytes(recipe_s().model), 1) == 467.6,
    "S10": lambda: np.allclose(siamese.DistanceLayer()([np.array([[1.0, 4]]), np.array([[3.0, 1]])]), [[2, 3]]),
    "S11": lambda: {"euclidean", "cosine"} <= set(siamese.DISTANCES),
    "S12": lambda: kinds(siamese.distance_head(8, "learnable")) == ["DistanceLayer", "Dense", "Dense"],
    "S13": lambda: siamese.distance_head(8).layers[-1].activation is keras.activations.sigmoid,
    "S14": lambda: isinstance(recipe_s().loss, keras.losses.BinaryCrossentropy),
    "S15": lambda: (
        float(recipe_s().optimizer.learning_rate) == np.float32(1e-4)
        and recipe_s().batch_size == 16
        and table_s.TABLE.rows[0].settings["epochs"] == 20
    ),
    "S16": lambda: default(saliency.saliency_maps, "reduction") == "mean",
    "S17": lambda: default(saliency.saliency_maps, "sigma") == saliency.SIGMA > 0,
    "S18": lambda: [c.key for c in table_s.TABLE.columns] == ["precision", "recall", "f1", "accuracy", "auroc"],
    "S20": lambda: printed(table_s.TABLE, "vgg19")[:2] == ["98.63%", "60%"],
    "S21": lambda: printed(table_s.TABLE, "custom_cnn")[-1] == "0.985",
    "S22": lambda: default(splits.sample_shots, "pooled") is False and default(splits.sample_shots, "distinct") is True,
    "S23": lambda: recipe_s().reduction == "mean",
    "S24": lambda: printed(table_s3.TABLE, "marble")[:1] + printed(table_s3.TABLE, "marble")[4:5] == ["92.18", "0.936"],
    "T1": lambda: len({id(layer) for layer in recipe_t().model.layers if layer.name == "backbone"}) == 1,
    "T2": lambda: recipe_t(None, 0.0).side == 224 and kinds(backbone_of(recipe_t(None, 0.0))).count("Conv2D") == 13,
    "T3": lambda: backbones.spec_of("vgg16").last_layer == "block5_conv3",
    "T4": lambda: siamese.parts(recipe_t().model).neck.output_shape == (None, 512),
    "T5": lambda: kinds(siamese.bare_distance(4)) == ["EuclideanDistance"],
    "T6": contrastive_by_hand,
    "T7": lambda: default(takimoto.build, "margin") is None and default(takimoto.build, "margin_factor") == 2.0,
    "T8": lambda: (
        [type(layer).__name__ for layer in mechanism()]
        == [
            "Conv2D",
            "Conv2D",
            "BatchNormalization",
            "Conv2D",
            "ReLU",
            "Conv2D",
            "BatchNormalization",
            "Activation",
        ]
    ),
    "T9": lambda: default(attention.insert, "residual") is False,
    "T10": lambda: (
        [backbones.attention_layer("vgg16", n) for n in backbones.POSITIONS]
        == ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"]
    ),
    "T11": lambda: attention.HIDDEN in [layer.name for layer in backbone_of(recipe_t()).layers],
    "T12": lambda: recipe_t().branch.output_shape == (None, 2),
    "T13": lambda: total_of(next(row for row in tables_t.TABLES[11].rows if row.key == "III_1.0_10")),
    "T14": lambda: (
        recipe_t().branch_loss is not recipe_t().loss and type(recipe_t().branch_loss) is type(recipe_t().loss)
    ),
    "T15": pair_balanced_by_hand,
    "T16": lambda: pairs.all_pairs_with_normal([0, 1, 1])[1][:, 1].tolist() == [1, 1, 0],
    "T17": lambda: pair_counts(40) == [3160, 780, 3200],
    "T18": lambda: pair_counts(20) == [3160, 190, 1600],
    "T19": lambda: (
        [run_t.SETTINGS[k] for k in ("learning_rate", "epochs", "batching")] == [1e-5, 100, "pairs"]
        and takimoto.BATCH_SIZES["pairs"] == 16
    ),
    "T20": lambda: [tables_t.TABLES[n].settings["test_per_class"] for n in (8, 9, 10, 11)] == [61, 71, 45, 40],
    "T22": lambda: (
        run_t.nearest_class(np.array([[0.9]]), np.array([[0.0], [1.0]]), np.array([0, 1]))[0].tolist() == [1]
    ),
    "T23": lambda: run_t.centroid(np.array([[3.0]]), np.array([[0.0], [2.0]])).tolist() == [2.0],
    "T24": lambda: default(takimoto.build, "weights") == "imagenet",
    "T25": lambda: printed(tables_t.TABLES[11], "III_1.5_13")[0] == "0.9838",
    "L1": lambda: (
        kinds(siamese.parts(recipe_l().model).neck) == ["GlobalAveragePooling2D", "Dense"]
        and siamese.parts(recipe_l().model).neck.output_shape == (None, 256)
    ),
    "L2": lambda: (
        kinds(siamese.parts(recipe_l().model).distance) == ["EuclideanDistance", "Dense"]
        and siamese.parts(recipe_l().model).distance.layers[-1].kernel_constraint is not None
    ),
    "L3": lambda: (
        kinds(siamese.parts(recipe_l("code").model).distance) == ["EuclideanDistance", "ReLU"]
        and recipe_l("code").side == 320
    ),
    "L4": lambda: (recipe_l("code").patience, recipe_l("code").halve_after) == (25, 15),
    "L5": lambda: recipe_l().loss.margin == 2.0,
    "L6": lambda: (
        lambda made, labels: all(
            (labels[a] != labels[b]) == bool(y) for (a, b), y in zip(made[0], made[1][:, 0], strict=True)
        )
    )(*class_pairs_of()),
    "L7": lambda: class_pairs_of()[0][1][:, 0].tolist() == [0] * 20 + [1] * 20,
    "L8": lambda: table_l.THRESHOLD == 0.5,
    "L9": lambda: [default(splits.by_class, k) for k in ("test", "validation")] == [0.2, 0.1],
    "L10": lambda: [(len(y), int(y.sum())) for y in map(first_rows, ("text", "code"))] == [(432, 216), (864, 432)],
    "L11": lambda: default(gradcam.pair_maps, "method") == "gradcam",
    "L12": lambda: default(gradcam.pair_maps, "target") == "different",
    "L13": counterfactual_is_the_negative,
    "L15": lambda: run_l.SETTINGS["similarity"] == 0.8,
    "L17": lambda: run_l.WAYS == ("original", "cropped", "similarity", "magnitude", "blind"),
    "L18": lambda: (lambda v: v[0] == v[1] != v[4])(
        table_l.pair_statistics(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]), 0.5)
    ),
    "L19": lambda: [table_l.PAPER[w]["accuracy"] for w in ("original", "cropped")] == ["87.15%", "88.31%"],
}


def test_every_line_marked_is_checked_and_no_other():
    assert [key for key, _, _, mark in ROWS if mark] == [*CHECKS] and len(ROWS) >= 60


@pytest.mark.parametrize("key", CHECKS)
def test_the_code_does_what_the_line_says(key):
    assert CHECKS[key]()


@pytest.mark.parametrize(("name", "path"), sorted({(name, path) for _, name, path, _ in ROWS}))
def test_the_place_is_there(name, path):
    nodes = ast.parse((ROOT / path).read_text()).body
    assigned = [getattr(t, "id", None) for node in nodes if isinstance(node, ast.Assign) for t in node.targets]
    assert name in assigned + [node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
