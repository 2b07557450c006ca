import unittest.mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad import metrics, recipes, scoring, siamese, synthetic, training


def spotted(rng, count, spot, side=16):
    images = rng.integers(90, 110, (count, side, side, 3), np.uint8)
    if spot:
        for image in images:
            y, x = rng.integers(2, side - 6, 2)
            image[y : y + 4, x : x + 4] = 250
    return images


def shots(rng, count):
    """``(images, labels)``: ``count`` anchors, as many good and as many defective images."""
    images = np.concatenate([spotted(rng, 2 * count, False), spotted(rng, count, True)])
    return images, np.repeat([0, 1], [2 * count, count])


@pytest.mark.parametrize("frozen", [False, True])
def test_learns_to_tell_spotted_from_plain(tiny_recipe, rng, frozen):
    recipe = tiny_recipe(epochs=30, frozen=frozen)
    before = recipe.model.get_layer("backbone").get_weights()
    losses = training.fit(recipe, *shots(rng, 4), rng)
    assert len(losses) == 30 and losses[-1] < losses[0]
    test = np.concatenate([spotted(rng, 20, False), spotted(rng, 20, True)])
    references = scoring.embed(recipe.model, spotted(rng, 4, False))
    scores = scoring.score(recipe.model, scoring.embed(recipe.model, test), references)
    assert metrics.auroc([0] * 20 + [1] * 20, scores) > 0.9
    after = recipe.model.get_layer("backbone").get_weights()
    assert frozen == all((a == b).all() for a, b in zip(before, after, strict=True))


@pytest.mark.slow
def test_one_seed_one_training(tiny_recipe):
    images, labels = shots(np.random.default_rng(9), 2)

    def once(seed):
        recipe = tiny_recipe(seed=seed, epochs=2)
        return training.fit(recipe, images, labels, np.random.default_rng(seed)), recipe.model.get_weights()

    (first, weights), (second, again), (other, _) = once(0), once(0), once(1)
    assert first == second != other
    assert all((a == b).all() for a, b in zip(weights, again, strict=True))


@pytest.mark.slow
def test_a_recipe_can_be_trained_twice(tiny_recipe, rng):
    """The optimiser of a recipe is copied, since one remembers the variables it was built for."""
    recipe = tiny_recipe(epochs=5)
    images, labels = shots(rng, 2)
    first, second = (training.fit(recipe, images, labels, rng) for _ in range(2))
    assert second[0] < first[0] and not recipe.optimizer.built


def test_the_a_th_augmented_image_meets_the_a_th():
    images, index, labels = np.array([1, 2, 3]), np.array([[0, 1], [0, 2]], np.int32), np.array([[0.0], [1.0]])
    images, index, labels = training.augmented(lambda x: np.repeat(x, 2) + [0, 10] * 3, images, index, labels)
    assert images[index].tolist() == [[1, 2], [11, 12], [1, 3], [11, 13]]
    assert labels.tolist() == [[0], [0], [1], [1]] and index.dtype == np.int32


def test_the_paper_trains_on_128_pairs(tiny_recipe, rng):
    recipe = tiny_recipe()
    images, labels = shots(rng, 8)
    images, index, pair_labels = training.augmented(recipe.augment, images, *recipe.pairing(labels, None, rng))
    assert len(images) == 192 and len(index) == 128 and pair_labels.sum() == 64


def test_bfloat16_is_for_training_only(tiny_recipe, rng):
    recipe = tiny_recipe(epochs=2)
    training.fit(recipe, *shots(rng, 2), rng, precision="mixed_bfloat16")
    layers = [layer for part in ("backbone", "neck") for layer in recipe.model.get_layer(part).layers]
    assert {layer.dtype_policy.name for layer in layers} == {"float32"}
    assert {w.dtype for w in recipe.model.get_weights()} == {np.dtype("float32")}
    with pytest.raises(ValueError, match="precision"):
        training.fit(recipe, *shots(rng, 2), rng, precision="float16")


def test_bfloat16_gradients_point_where_float32_ones_do():
    """Embeddings rounded to bfloat16 would be equal where they differ, and pass no gradient at all."""
    keras.utils.set_random_seed(0)
    recipe = recipes.senarathna.build(side=72)
    images = [synthetic.draw("leather", "good", np.random.default_rng(k), size=72)[0] for k in range(4)]
    images, index = tf.constant(np.stack(images), tf.float32), tf.constant([[0, 2], [1, 3]])
    model, gradients = siamese.indexed(recipe.model), {}
    for precision in ("float32", "mixed_bfloat16"):
        with training._computing_in(precision, siamese.parts(recipe.model).backbone), tf.GradientTape() as tape:
            out = model([images, index])
        gradients[precision] = [g.numpy().ravel() for g in tape.gradient(out, recipe.model.trainable_variables)]
    pairs = zip(recipe.model.trainable_variables, *gradients.values(), strict=True)
    cosines = {v.path: a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for v, a, b in pairs}
    assert min(cosines.values()) > 0.7, cosines
    assert any((a != b).any() for a, b in zip(*gradients.values(), strict=True))  # bfloat16 was used


def test_shapes_and_labels_that_do_not_fit_are_refused(tiny_recipe, rng):
    images, labels = shots(rng, 2)
    with pytest.raises(ValueError, match=r"Expected images \(n, 16, 16, 3\).*Received: \(6, 16, 15, 3\)"):
        training.fit(tiny_recipe(), images[:, :, :15], labels, rng)
    with pytest.raises(ValueError, match=r"numbers: 0 is good, 1 defective. Received: .*good"):
        training.fit(tiny_recipe(), images, ["good"] * 6, rng)
    with pytest.raises(ValueError, match=r"a label of each. .* and 5 labels"):
        training.fit(tiny_recipe(), images, labels[:5], rng)
    features = np.zeros((6, 14, 14, 4), np.float32)  # are for a frozen backbone
    with pytest.raises(ValueError, match=r"Received: \(6, 14, 14, 4\)"):
        training.fit(tiny_recipe(), features, labels, rng)


def test_a_loss_that_is_not_finite_is_an_error(tiny_recipe, rng):
    recipe = tiny_recipe()
    recipe.loss = lambda y_true, y_pred: y_pred * np.nan
    with pytest.raises(FloatingPointError, match="nan after 1 epochs"):
        training.fit(recipe, *shots(rng, 2), rng)


def test_fast_precision_goes_by_the_processor(monkeypatch):
    flags = (("avx2 avx512_bf16", "mixed_bfloat16"), ("avx2 avx512f", "float32"), (OSError(), "float32"))
    for read_text, expected in flags:
        training.fast_precision.cache_clear()
        monkeypatch.setattr(training.Path, "read_text", unittest.mock.Mock(side_effect=[read_text]))
        assert training.fast_precision() == expected
    training.fast_precision.cache_clear()


def two_colours(rng, count):
    """Images of two classes that differ in colour, and their labels."""
    labels = np.arange(count) % 2
    images = rng.integers(0, 60, (count, 64, 64, 3)) + 150 * labels[:, None, None, None] * [1, 0, 1]
    return images.astype(np.uint8), labels


def test_given_pairs_features_computed_once_and_validation(rng):
    """Features of a frozen backbone, given in place of the images, train the same weights."""
    recipe, other = (
        recipes.livieris.build("custom_cnn", "none", frozen=True, side=64, learning_rate=1e-2, batch_size=8, epochs=6,
                               patience=2)
        for _ in range(2)
    )  # fmt: skip
    other.model.set_weights(recipe.model.get_weights())
    images, labels = two_colours(rng, 24)
    index, pair_labels = recipe.pairing(labels, np.arange(24), rng)
    train, validation = (index[::2], pair_labels[::2]), (index[1::2], pair_labels[1::2])
    features = recipe.model.get_layer("backbone").predict(images, verbose=0)
    for one, given in ((recipe, images), (other, features)):
        training.fit(one, given, labels, np.random.default_rng(0), pairs=train, validation=validation)
    for a, b in zip(recipe.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    embeddings = scoring.embed(recipe.model, images)
    dissimilarity = recipe.model.get_layer("distance")([embeddings[index[:, 0]], embeddings[index[:, 1]]])
    assert ((np.asarray(dissimilarity) > 0.5) == pair_labels).mean() > 0.9


class Worsening(keras.callbacks.Callback):
    """Makes the validation loss worse from the third epoch on."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = [0.5, 0.4, 0.6, 0.7, 0.8][epoch]


def test_training_stops_after_patience_epochs_without_a_better_validation_loss(tiny_recipe, rng):
    recipe = tiny_recipe(epochs=5)
    recipe.augment, recipe.patience = None, 2
    images, labels = shots(rng, 2)
    pairs = recipe.pairing(labels, None, rng)
    losses = training.fit(recipe, images, labels, rng, pairs=pairs, validation=pairs, callbacks=[Worsening()])
    assert len(losses) == 4


def test_the_learning_rate_is_halved_after_epochs_without_a_better_validation_loss(tiny_recipe, rng):
    recipe = tiny_recipe(epochs=5)
    recipe.augment, recipe.patience, recipe.halve_after = None, 9, 2
    images, labels = shots(rng, 2)
    pairs, watcher = recipe.pairing(labels, None, rng), Worsening()
    training.fit(recipe, images, labels, rng, pairs=pairs, validation=pairs, callbacks=[watcher])
    # The best was the second of five epochs: halved once, after the fourth.
    assert float(watcher.model.optimizer.learning_rate) == pytest.approx(float(recipe.optimizer.learning_rate) / 2)


def test_groups_reach_the_pairing(tiny_recipe, rng):
    recipe = tiny_recipe()
    for groups, expected in ((None, [0, 1, 2, 3, 4, 5]), (np.array([0, 0, 1, 1, 2, 2]), [0, 0, 1, 1, 2, 2])):
        recipe.pairing = unittest.mock.Mock(side_effect=InterruptedError)
        with pytest.raises(InterruptedError):
            training.fit(recipe, *shots(rng, 2), rng, groups=groups)
        assert recipe.pairing.call_args.args[1].tolist() == expected


def test_what_cannot_be_trained_is_refused(tiny_recipe, rng):
    images, labels = rng.integers(0, 256, (3, 16, 16, 3), np.uint8), [0, 0, 1]
    with pytest.raises(ValueError, match=r"trained, and epochs\. Received: tiny, 0 epochs"):
        training.fit(tiny_recipe(epochs=0), images, labels, rng)
    with pytest.raises(ValueError, match="Received: patches"):
        training.fit(recipes.patches.build("filter_bank", side=64), images, labels, rng)
    frozen = tiny_recipe(frozen=True)
    features = frozen.model.get_layer("backbone").predict(images, verbose=0)
    with pytest.raises(ValueError, match="Expected images, which the recipe tiny augments"):
        training.fit(frozen, features, labels, rng)
