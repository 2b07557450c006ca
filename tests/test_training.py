import unittest.mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad import metrics, pairs, recipes, scoring, siamese, synthetic, training


def spotted(rng, n, spot, side=16):
    pictures = rng.integers(90, 110, (n, side, side, 3), np.uint8)
    if spot:
        for p in pictures:
            y, x = rng.integers(2, side - 6, 2)
            p[y : y + 4, x : x + 4] = 250
    return pictures


@pytest.mark.parametrize("frozen", [False, True])
def test_learns_to_tell_spotted_from_plain(tiny_recipe, rng, frozen):
    recipe = tiny_recipe(epochs=30, frozen=frozen)
    before = recipe.model.get_layer("backbone").get_weights()
    losses = training.fit(recipe, spotted(rng, 4, False), spotted(rng, 4, False), spotted(rng, 4, True), rng)
    assert len(losses) == 30 and losses[-1] < losses[0]
    test = np.concatenate([spotted(rng, 20, False), spotted(rng, 20, True)])
    references = scoring.embed(recipe.model, spotted(rng, 4, False))
    scores = scoring.compare(recipe.model, scoring.embed(recipe.model, test), references).mean(1)
    assert metrics.auroc([0] * 20 + [1] * 20, scores) > 0.9
    after = recipe.model.get_layer("backbone").get_weights()
    assert frozen == all((a == b).all() for a, b in zip(before, after, strict=True))


def test_one_seed_one_training(tiny_recipe):
    def once(seed):
        rng = np.random.default_rng(seed)
        recipe = tiny_recipe(seed=seed, epochs=2)
        pictures = [spotted(np.random.default_rng(9), 2, spot) for spot in (False, False, True)]
        return training.fit(recipe, *pictures, rng), recipe.model.get_weights()

    (first, a), (second, b), (other, _) = once(0), once(0), once(1)
    assert first == second and first != other
    assert all((x == y).all() for x, y in zip(a, b, strict=True))


def test_bfloat16_is_for_training_only(tiny_recipe, rng):
    recipe = tiny_recipe(epochs=2)
    pictures = [spotted(rng, 2, spot) for spot in (False, False, True)]
    training.fit(recipe, *pictures, rng, precision="mixed_bfloat16")
    layers = [layer for part in ("backbone", "neck") for layer in recipe.model.get_layer(part).layers]
    assert {layer.dtype_policy.name for layer in layers} == {"float32"}
    assert {w.dtype for w in recipe.model.get_weights()} == {np.dtype("float32")}
    with pytest.raises(ValueError, match="precision"):
        training.fit(recipe, *pictures, rng, precision="float16")


def test_bfloat16_gradients_point_where_float32_ones_do(rng):
    """Embeddings rounded to bfloat16 would be equal where they differ, and pass no gradient at all."""
    import tensorflow as tf

    recipe = recipes.senarathna()
    pictures = [synthetic.draw("leather", "good", np.random.default_rng(k), size=100)[0] for k in range(4)]
    pictures = tf.constant(np.stack(pictures), tf.float32)
    model, index = siamese.indexed(recipe.model), tf.constant([[0, 2], [1, 3]])
    gradients = {}
    for precision in ("float32", "mixed_bfloat16"):
        with training._computing_in(precision, recipe.model), tf.GradientTape() as tape:
            out = model([pictures, index])
        gradients[precision] = [g.numpy().ravel() for g in tape.gradient(out, recipe.model.trainable_variables)]
    pairs = zip(recipe.model.trainable_variables, *gradients.values(), strict=True)
    cosines = {v.path: a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for v, a, b in pairs}
    assert min(cosines.values()) > 0.7, cosines
    assert any((a != b).any() for a, b in zip(*gradients.values(), strict=True))  # bfloat16 was used


def test_fused_adam_is_adam(rng):
    start, pulls = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(5, 4, 3)).astype(np.float32)
    ends = []
    for kind in (training.FusedAdam, keras.optimizers.Adam):
        weights = keras.Variable(start)
        optimizer = kind(0.1, global_clipnorm=1.0)
        for pull in pulls:
            optimizer.apply([tf.constant(pull)], [weights])
        ends.append(weights.numpy())
        assert int(optimizer.iterations) == 5
    assert np.allclose(*ends, atol=1e-6) and not np.allclose(ends[0], start, atol=0.1)


def test_roles_of_different_number_are_refused(tiny_recipe, rng):
    with pytest.raises(ValueError, match="Expected defective of shape"):
        training.fit(tiny_recipe(), spotted(rng, 2, False), spotted(rng, 2, False), spotted(rng, 3, True), rng)


def test_fast_precision_goes_by_the_processor(monkeypatch):
    for said, expected in (("avx2 avx512_bf16", "mixed_bfloat16"), ("avx2 avx512f", "float32"), (OSError(), "float32")):
        training.fast_precision.cache_clear()
        read = unittest.mock.Mock(**{"side_effect" if isinstance(said, OSError) else "return_value": said})
        monkeypatch.setattr(training.Path, "read_text", read)
        assert training.fast_precision() == expected
    training.fast_precision.cache_clear()


def test_given_pairs_frozen_features_and_validation(rng):
    """Two kinds of picture, told apart by colour; features computed once give the weights that pictures give."""
    recipe, other = (recipes.livieris("custom_cnn", "none", frozen=True, side=64, learning_rate=1e-2, batch_size=8,
                                      epochs=6, patience=2) for _ in "ab")  # fmt: skip
    other.model.set_weights(recipe.model.get_weights())
    kinds = np.arange(24) % 2
    pictures = (rng.integers(0, 60, (24, 64, 64, 3)) + 150 * kinds[:, None, None, None] * [1, 0, 1]).astype(np.uint8)
    index, labels = pairs.livieris(kinds, np.arange(24), rng)
    told, held_out = np.arange(0, 48, 2), np.arange(1, 48, 2)
    features = recipe.model.get_layer("backbone").predict(pictures, verbose=0)
    for which, given in ((recipe, pictures), (other, features)):
        training.fit_pairs(which, given, index[told], labels[told], np.random.default_rng(0),
                           (index[held_out], labels[held_out]))  # fmt: skip
    for a, b in zip(recipe.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    embeddings = scoring.embed(recipe.model, pictures)
    found = recipe.model.get_layer("distance")([embeddings[index[:, 0]], embeddings[index[:, 1]]]).numpy()
    assert ((found > 0.5) == labels).mean() > 0.9


def test_the_sigmoid_unit_starts_at_the_distances(rng):
    recipe = recipes.livieris("custom_cnn", "none", frozen=True, side=64, learning_rate=1e-9, batch_size=8, epochs=1)
    pictures = rng.integers(0, 256, (10, 64, 64, 3)).astype(np.uint8)
    index, labels = pairs.livieris(np.arange(10) % 2, np.arange(10), rng)
    training.fit_pairs(recipe, pictures, index, labels, rng)
    out = recipe.model([pictures[index[:, 0]].astype(np.float32), pictures[index[:, 1]].astype(np.float32)])
    assert np.median(out) == pytest.approx(0.5, abs=0.01)
