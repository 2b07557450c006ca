import importlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from experiments import takimoto, takimoto_reports
from fsad import attention, recipes, scoring, siamese, synthetic, training

TABLES = [importlib.import_module(f"experiments.takimoto_table{n}").TABLE for n in range(8, 14)]


def small(**options):
    """Takimoto's recipe on MobileNet at 64 pixels from random weights."""
    return recipes.takimoto("mobilenet", weights="none", side=64, **options)


def tiny(branch_weight, loss, margin=None):
    """The same parts on a backbone of one convolution."""
    keras.utils.set_random_seed(0)
    picture = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(picture))
    body = attention.insert(keras.Model(picture, maps, name="backbone"), "conv")
    features = keras.Input(body.output_shape[1:])
    neck = keras.Model(features, keras.layers.GlobalAveragePooling2D()(features), name="neck")
    return recipes.Recipe(
        name="takimoto",
        model=siamese.build(body, neck, siamese.bare_distance(8)),
        weights="random",
        side=16,
        learning_rate=1e-2,
        epochs=4,
        loss=recipes.LOSSES[loss](**({} if margin is None else {"margin": margin})),
        branch=attention.branch((14, 14, 8)),
        branch_weight=branch_weight,
        margin_from_data=2.0 if margin is None else 0.0,
    )


def test_all_94_cells_are_declared():
    assert [len(table.rows) for table in TABLES] == [16, 16, 16, 16, 15, 15]
    for table in TABLES:
        assert len({row.key for row in table.rows}) == len(table.rows)
        for row in table.rows:
            assert set(row.paper) == set(takimoto.KEYS) and row.draws == 5
            settings = {**table.settings, **row.settings}
            assert (settings["normal"], settings["abnormal"]) == (
                80,
                40 if int(table.name[-2:].strip("e")) < 12 else 20,
            )
            assert (
                recipes.place("vgg16", settings["position"]) is None or settings["position"] in recipes.POSITION_NUMBERS
            )
    best = {row.key: row.paper for row in TABLES[5].rows}
    assert best["PBCL_1_13"] == {"auc": "0.9854", "accuracy": "0.843", "recall": "0.810", "specificity": "0.925"}


def test_what_the_printed_accuracies_say_about_the_test_counts():
    """Mean of recall and specificity, or 100 normal pictures beside the abnormal ones: which fits most rows."""
    fits = []
    for table in TABLES:
        abnormal = table.settings["test_per_class"]
        equal = hundred = 0
        for row in table.rows:
            accuracy, recall, specificity = (float(row.paper[k]) for k in takimoto.KEYS[1:])
            equal += abs((recall + specificity) / 2 - accuracy) < 0.0016
            hundred += abs((100 * recall + abnormal * specificity) / (100 + abnormal) - accuracy) < 0.0016
        fits.append("printed" if equal > hundred else "accuracy")
        assert max(equal, hundred) >= 13
    assert fits == ["printed", "accuracy", "accuracy", "printed", "printed", "accuracy"]


@pytest.mark.parametrize(("position", "channels"), zip(recipes.POSITION_NUMBERS, (64, 128, 256, 512, 512), strict=True))
def test_vgg16_at_every_position(position, channels):
    recipe = recipes.takimoto(weights="none", position=position)
    backbone = recipe.model.get_layer("backbone")
    d = channels
    mechanism = 2 * (9 * d * d + d) + 4 * d + (d * d + d) + (d + 1) + 4
    assert backbone.count_params() == 14_714_688 + mechanism and recipe.branch.count_params() == 2 * d + 2
    side = 224 // 2 ** recipes.POSITION_NUMBERS.index(position)
    assert backbone.get_layer(attention.MAP).output.shape == (None, side, side, 1)
    assert recipe.model.get_layer("neck").output_shape == (None, 512) and recipe.branch.output_shape == (None, 2)


def test_method_one_has_no_attention_and_method_two_no_branch():
    one, two = small(position=None, branch_weight=0), small(position=10, branch_weight=0)
    assert attention.MAP not in [layer.name for layer in one.model.get_layer("backbone").layers]
    assert attention.MAP in [layer.name for layer in two.model.get_layer("backbone").layers] and two.branch is None
    with pytest.raises(ValueError, match="Expected a position for the attention"):
        small(position=None)
    with pytest.raises(ValueError, match="Expected a position among"):
        small(position=3)
    with pytest.raises(ValueError, match="Expected a loss among"):
        small(loss="triplet")


@pytest.mark.parametrize("loss", ["contrastive", "pair_balanced"])
def test_the_total_loss_is_that_of_output_1_plus_w_times_that_of_output_2(loss, rng):
    """Equation 3, recomputed from both embeddings of the one step there is, before the weights move."""
    recipe = tiny(1.5, loss, margin=2.0)
    recipe.learning_rate, recipe.epochs = 0.0, 1
    pictures, labels = rng.integers(0, 256, (6, 16, 16, 3), np.uint8), np.array([0, 0, 0, 1, 1, 0])
    for layer in recipe.model.get_layer("backbone").layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)  # so that training sees what we see
    (found,) = training.fit_all_pairs(recipe, pictures, labels, rng, size=12)
    outputs = takimoto.embed(recipe, pictures)
    index, told = takimoto.pairs.takimoto(labels)
    each = [np.linalg.norm(o[index[:, 0]] - o[index[:, 1]], axis=1)[:, None].astype(np.float32) for o in outputs]
    y = told if loss == "pair_balanced" else told[:, :1]
    assert found == pytest.approx(float(recipe.loss(y, each[0])) + 1.5 * float(recipe.loss(y, each[1])), rel=1e-3)


@pytest.mark.parametrize("batching", ["pairs", "pictures"])
def test_learns_to_tell_spotted_from_plain(batching, rng):
    pictures = rng.integers(90, 110, (12, 16, 16, 3)).astype(np.uint8)
    labels = np.repeat([0, 1], 6)
    pictures[6:, 5:11, 5:11] = 250
    recipe = tiny(1.0, "contrastive")
    before = training.median_distance(recipe, pictures, labels)
    losses = training.fit_all_pairs(recipe, pictures, labels, rng, batching)
    assert losses[-1] < losses[0] and recipe.loss.margin == pytest.approx(2 * before, rel=1e-4)
    outputs = takimoto.embed(recipe, pictures)
    assert [o.shape for o in outputs] == [(12, 8), (12, 2)]


def test_judgements_by_hand():
    training_set, labels = np.array([[0.0, 0], [1, 0], [5, 0]]), np.array([0, 0, 1])
    found, margins = scoring.nearest_class(np.array([[0.9, 0], [4.0, 0], [3.0, 0]]), training_set, labels)
    assert found.tolist() == [0, 1, 0] and margins == pytest.approx([0.1 - 4.1, 3 - 1, 2 - 2])
    assert scoring.centroid(np.array([[0.5, 2.0]]), training_set[:2]) == pytest.approx([2])
    joined = takimoto.judgements(4.0)["both"]([np.ones((1, 2)), np.ones((1, 2))])
    assert joined.tolist() == [[1, 1, 2, 2]]
    assert takimoto_reports._nearest(np.array([0, 0, 1, 1]), np.array([-1, 1, 1, 1.0]), 0) == [0.75, 0.5, 1.0]


def test_refuses_shapes_and_labels_it_cannot_pair(rng):
    with pytest.raises(ValueError, match=r"Received: \(2, 9, 9, 3\)"):
        training.fit_all_pairs(small(position=None, branch_weight=0), np.zeros((2, 9, 9, 3), np.uint8), [0, 1], rng)
    with pytest.raises(ValueError, match="labels \\[0\\]"):
        training.fit_all_pairs(small(position=None, branch_weight=0), np.zeros((2, 64, 64, 3), np.uint8), [0, 0], rng)


def test_the_estimate_is_steps_times_the_time_of_one(monkeypatch):
    asked = []
    monkeypatch.setattr(takimoto, "_step_seconds", lambda *a: asked.append(a) or 2.0)
    settings = {**takimoto.SETTINGS, "abnormal": 40, "epochs": 100, "precision": "float32"}
    assert takimoto.estimate(settings) == 2 * 100 * 447  # 7140 pairs, 16 a step
    assert takimoto.estimate({**settings, "batching": "pictures"}) == 2 * 100 * 15
    assert [a[4] for a in asked] == [32, 40]
    monkeypatch.undo()
    assert takimoto._step_seconds("mobilenet", None, 0.0, 32, 4, "float32") > 0


def test_a_table_runs_from_the_command_line(tmp_path):
    """Selected rows, its own flags, and the shape of the result."""
    folder = synthetic.write(tmp_path / "tiny", "metal", good=8, defective=2, size=64)
    options = [f"--data={folder}", "--rows=I,III_1.0_4,III_1.0_10", "--positions=10", "--runs=1", "--epochs=1",
               "--backbone=mobilenet", "--weights=none", "--side=32", "--normal=4", "--abnormal=3",
               "--batching=pictures", "--step=6", "--learning_rate=1e-3", f"--out={tmp_path}",
               f"--kept={tmp_path / 'kept'}"]  # fmt: skip

    command = [sys.executable, "-m", "experiments.takimoto_table8", *options]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "III: attention + ABL, w = 1.0, N = 4 [1]" in shown and "[1] Not run." in shown  # not among the positions
    row = next(line for line in shown.splitlines() if line.startswith("III: attention + ABL, w = 1.0, N = 10"))
    assert "0.9302 / 0." in row or "0.9302 / 1." in row
    text = (tmp_path / "takimoto_table8_tiny.md").read_text()
    assert "4 + 3 training pictures, 1 epochs, 6 pictures a step, Adam at 0.001" in text
    assert "AUC, both" in text and "mean map" in text
