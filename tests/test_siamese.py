import subprocess
import sys

import keras
import numpy as np
import pytest

from fsad import backbones, pairs, recipes, siamese


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 256, (9, 16, 16, 3)).astype(np.float32)


def test_parts_are_named_and_swapping_the_pictures_changes_nothing(tiny_recipe, pictures):
    model = tiny_recipe().model
    assert [part.name for part in siamese.parts(model)] == ["backbone", "neck", "distance"]
    assert [i.name for i in model.inputs] == ["anchor", "picture"]
    there, back = model([pictures[:4], pictures[4:8]]), model([pictures[4:8], pictures[:4]])
    assert np.allclose(there, back) and there.shape == (4, 1)
    assert np.ptp(model([pictures[:4], pictures[:4]])) < 1e-6  # distance 0 whatever the picture


def test_indexed_gives_the_outputs_of_the_two_picture_model(tiny_recipe, pictures):
    model = tiny_recipe().model
    index = np.array([[0, 1], [5, 2], [3, 3], [8, 0]], np.int32)
    expected = model([pictures[index[:, 0]], pictures[index[:, 1]]])
    assert np.allclose(siamese.indexed(model)([pictures, index]), expected, atol=1e-6)
    features = np.asarray(siamese.parts(model).backbone(pictures))
    assert np.allclose(siamese.indexed(model, features=True)([features, index]), expected, atol=1e-6)
    embeddings = np.asarray(siamese.embedder(model)(pictures))
    assert embeddings.shape == (9, 6)


def test_training_by_index_pairs_equals_training_by_two_pictures(rng):
    """The paper's own network: 10 steps of Adam both ways leave weights within 1e-5."""
    pictures = rng.integers(0, 256, (6, 100, 100, 3), np.uint8)
    index, labels = pairs.senarathna(2)
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        models.append(recipes.senarathna().model)
    by_index, by_two = siamese.indexed(models[0]), models[1]
    by_index.compile(keras.optimizers.Adam(1e-4), loss="binary_crossentropy")
    by_two.compile(keras.optimizers.Adam(1e-4), loss="binary_crossentropy")
    data = pairs.dataset(pictures, index, labels, 2, np.random.default_rng(1))
    by_index.fit(data, epochs=5, shuffle=False, verbose=0)
    order = np.random.default_rng(1)
    for _ in range(5):
        for rows, local, y in pairs.batches(index, labels, 2, order):
            shown = pictures[rows].astype(np.float32)
            by_two.train_on_batch([shown[local[:, 0]], shown[local[:, 1]]], y)
    keras.utils.set_random_seed(0)
    start = recipes.senarathna().model
    trained, other, start = (m.get_weights() for m in (*models, start))
    assert max(np.abs(a - b).max() for a, b in zip(trained, other, strict=True)) < 1e-5
    assert max(np.abs(a - b).max() for a, b in zip(trained, start, strict=True)) > 5e-4  # it did train


def test_saved_and_loaded_in_a_fresh_process_scores_are_identical(tiny_recipe, pictures, tmp_path):
    model = tiny_recipe().model
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "pictures.npy", pictures)
    np.save(tmp_path / "scores.npy", np.asarray(model([pictures[:4], pictures[4:8]])))
    script = (
        "import sys, numpy as np, keras, fsad.layers, fsad.siamese as s;"
        "f = sys.argv[1]; m = keras.saving.load_model(f + '/model.keras'); p = np.load(f + '/pictures.npy');"
        "assert [x.name for x in s.parts(m)] == ['backbone', 'neck', 'distance'];"
        "assert (np.asarray(m([p[:4], p[4:8]])) == np.load(f + '/scores.npy')).all()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


@pytest.mark.parametrize("distance", siamese.DISTANCES)
def test_distances_share_one_interface(distance, rng):
    head = siamese.distance_head(5, distance)
    a, b = rng.normal(size=(2, 3, 5)).astype(np.float32)
    score = np.asarray(head([a, b]))
    assert score.shape == (3, 1) and ((score > 0) & (score < 1)).all()
    if distance != "l1":  # one number: no seed may turn the score around
        for seed in range(5):
            keras.utils.set_random_seed(seed)
            head = siamese.distance_head(5, distance)
            assert (np.asarray(head([a, a])) < np.asarray(head([a, b]))).all()


def test_wrong_parts_are_refused(tiny_recipe):
    backbone, neck, distance = siamese.parts(tiny_recipe().model)
    with pytest.raises(ValueError, match="named 'backbone'"):
        siamese.build(neck, backbone, distance)
    with pytest.raises(ValueError, match="Expected a model with layers"):
        siamese.parts(backbone)
    with pytest.raises(ValueError, match="l1, euclidean, cosine"):
        siamese.distance_head(5, "manhattan")


def test_size_counts_twelve_bytes_a_trained_parameter_and_four_a_frozen_one(tiny_recipe):
    model = tiny_recipe().model
    trained = model.count_params()
    assert siamese.size_megabytes(model) == pytest.approx(12 * trained / 1e6)
    model.get_layer("backbone").trainable = False
    frozen = model.get_layer("backbone").count_params()
    assert siamese.size_megabytes(model) == pytest.approx((12 * (trained - frozen) + 4 * frozen) / 1e6)


# Table II of Senarathna and Wijesinghe (2025) prints 467 MB, 1.47 GB, 5.03 GB and 363 MB.
@pytest.mark.parametrize(
    ("backbone", "megabytes"),
    [("custom_cnn", 467.6), ("vgg19", 1473.5), ("resnet50", 5027.0), ("inception_v3", 362.1)],
)
def test_the_paper_s_model_sizes_come_out(backbone, megabytes):
    # Counted on the parts: the dense layer of ResNet50's neck alone would fill 1.6 GB.
    body, _ = backbones.build(backbone, weights="none")
    features = int(np.prod(body.output_shape[1:]))
    dense, head = (features + 1) * 4096, 4097
    assert siamese.size_megabytes(body) + 12 * (dense + head) / 1e6 == pytest.approx(megabytes, abs=0.06)


def test_on_features_is_the_same_comparison_from_the_feature_maps_on(tiny_recipe, rng):
    model = tiny_recipe().model
    pictures = rng.integers(0, 256, (2, 5, 16, 16, 3)).astype(np.float32)
    features = [siamese.parts(model).backbone(p) for p in pictures]
    np.testing.assert_allclose(siamese.on_features(model)(features), model(list(pictures)), rtol=1e-6)
