import keras
import numpy as np
import pytest

from fsad import pairs, siamese
from fsad.layers import EuclideanDistance
from fsad.nearest_patch import NearestPatch


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (9, 16, 16, 3)).astype(np.float32)


def test_parts_are_named_and_swapping_the_images_changes_nothing(tiny_recipe, images):
    model = tiny_recipe().model
    assert [part.name for part in siamese.parts(model)] == ["backbone", "neck", "distance"]
    assert [tensor.name for tensor in model.inputs] == ["anchor", "image"]
    there, back = model([images[:4], images[4:8]]), model([images[4:8], images[:4]])
    assert np.allclose(there, back) and there.shape == (4, 1)
    assert np.ptp(model([images[:4], images[:4]])) < 1e-6  # distance 0 whatever the image


def test_indexed_gives_the_outputs_of_the_two_input_model(tiny_recipe, images):
    model = tiny_recipe().model
    index = np.array([[0, 1], [5, 2], [3, 3], [8, 0]], np.int32)
    expected = model([images[index[:, 0]], images[index[:, 1]]])
    assert np.allclose(siamese.indexed(model)([images, index]), expected, atol=1e-6)
    features = np.asarray(siamese.parts(model).backbone(images))
    assert np.allclose(siamese.indexed(model, features=True)([features, index]), expected, atol=1e-6)


def test_training_by_index_pairs_equals_training_by_two_inputs(tiny_recipe, images):
    """10 steps of Adam both ways leave the same weights."""
    by_index, by_two, start = (tiny_recipe().model for _ in range(3))
    index, labels = pairs.anchor_pairs([0, 0, 0, 0, 1, 1])
    trained = siamese.indexed(by_index)
    for model in (trained, by_two):
        model.compile(keras.optimizers.Adam(1e-2), loss="binary_crossentropy")
    for (batch, local), y in pairs.dataset(images, index, labels, "pairs", 2, 5, np.random.default_rng(1)):
        trained.train_on_batch([batch, local], y)
        by_two.train_on_batch([batch.numpy()[local[:, 0]], batch.numpy()[local[:, 1]]], y)
    after, other, before = (model.get_weights() for model in (by_index, by_two, start))
    assert max(np.abs(a - b).max() for a, b in zip(after, other, strict=True)) < 1e-5
    assert max(np.abs(a - b).max() for a, b in zip(after, before, strict=True)) > 0.05  # it did train


def test_refuses_images_of_another_shape(tiny_recipe, images):
    with pytest.raises(ValueError, match=r"Expected images \(n, 16, 16, 3\)\. Received: \(16, 16, 3\)"):
        siamese.embed(tiny_recipe().model, images[0])


def test_embedding_in_batches_is_the_embedder(tiny_recipe, images):
    model = tiny_recipe().model
    embeddings = siamese.embed(model, images.astype(np.uint8), batch_size=4)
    assert embeddings.shape == (9, 6) and np.allclose(embeddings, siamese.embedder(model)(images), atol=1e-6)
    assert siamese.embed(model, images[:0]).shape == (0, 6)


def test_on_features_is_the_same_comparison_from_the_feature_maps_on(tiny_recipe, images):
    model = tiny_recipe().model
    features = [siamese.parts(model).backbone(batch) for batch in (images[:4], images[4:8])]
    np.testing.assert_allclose(siamese.on_features(model)(features), model([images[:4], images[4:8]]), rtol=1e-6)


def test_a_saved_model_has_its_parts_and_scores_again(tiny_recipe, images, tmp_path):
    model = tiny_recipe().model
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [part.name for part in siamese.parts(loaded)] == ["backbone", "neck", "distance"]
    assert np.array_equal(loaded([images[:4], images[4:8]]), model([images[:4], images[4:8]]))


def test_heads_by_hand():
    origin, point = np.zeros((1, 2), np.float32), np.array([[0.3, 0.4]], np.float32)
    assert float(siamese.bare_distance(2)([origin, point])[0, 0]) == pytest.approx(0.5)
    assert float(siamese.bare_distance(2)([origin, 10 * point])[0, 0]) == pytest.approx(5)
    assert float(siamese.clipped_distance(2)([origin, 10 * point])[0, 0]) == 1
    sigmoid = 1 / (1 + np.exp(-0.5))  # the unit starts at weight 1 and bias 0
    assert float(siamese.distance_head(2, "euclidean")([origin, point])[0, 0]) == pytest.approx(sigmoid)


def test_the_learnable_distance_is_symmetric_and_learns_from_both_layers(rng):
    head = siamese.distance_head(5, "learnable")
    a, b = rng.normal(size=(2, 3, 5)).astype(np.float32)
    assert np.array_equal(head([a, b]), head([b, a]))
    assert [tuple(w.shape) for w in head.trainable_weights] == [(5, 64), (64,), (64, 1), (1,)]
    with pytest.raises(ValueError, match="l1, euclidean, cosine, learnable"):
        siamese.distance_head(5, "l3")


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_whatever_the_seed_a_head_of_one_number_grows_with_the_distance(distance, rng):
    a, b = rng.normal(size=(2, 3, 5)).astype(np.float32)
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        head = siamese.distance_head(5, distance)
        assert (np.asarray(head([a, a])) < np.asarray(head([a, b]))).all()


def test_the_distance_layer_and_its_units(tiny_recipe):
    layer, units = siamese.distance_layer(tiny_recipe(distance="euclidean").model)
    assert isinstance(layer, EuclideanDistance) and [unit.name for unit in units] == ["dissimilarity"]
    maps, neck = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    parts = keras.Model(maps, maps, name="backbone"), keras.Model(neck, neck, name="neck")
    layer, units = siamese.distance_layer(siamese.build(*parts, siamese.patch_distance((4, 4, 3), window=2)))
    assert isinstance(layer, NearestPatch) and (layer.channels, layer.window, units) == ([3], 2, [])


def test_wrong_parts_are_refused(tiny_recipe):
    backbone, neck, _ = siamese.parts(tiny_recipe().model)
    with pytest.raises(ValueError, match="named 'backbone'"):
        siamese.build(neck, backbone, siamese.bare_distance(6))
    with pytest.raises(ValueError, match="Expected a model with layers"):
        siamese.parts(backbone)
    with pytest.raises(ValueError, match="l1, euclidean, cosine"):
        siamese.distance_head(5, "manhattan")
    first, second = keras.Input((6,)), keras.Input((6,))
    other = keras.Model([first, second], keras.layers.Subtract()([first, second]), name="distance")
    with pytest.raises(ValueError, match=r"a subclass of fsad.layers.Distance. Received: Subtract"):
        siamese.build(backbone, neck, other)
