import keras
import numpy as np
import pytest

from experiments.senarathna.run import size_megabytes
from fsad import attention, backbones, pairs, scoring, siamese, training, weights
from fsad.backbones import POSITIONS
from fsad.recipes import RECIPES, livieris, patches, senarathna, takimoto


def small(**options):
    """Takimoto's recipe on MobileNet at 64 pixels from random weights."""
    return takimoto.build("mobilenet", weights="none", side=64, **options)


def tiny(**options):
    """The same on a backbone of one convolution, which trains in seconds."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(image))
    return takimoto.build(keras.Model(image, maps, name="tiny"), position="conv", **options)


def distances(embeddings, index):
    return np.linalg.norm(embeddings[index[:, 0]] - embeddings[index[:, 1]], axis=1).astype(np.float32)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_what_it_is(name):
    recipe = RECIPES[name]("mobilenet", weights="none", side=64)
    assert (recipe.name, recipe.weights, recipe.side) == (name, "random", 64)
    assert recipe.trained == (name != "patches") and recipe.model.output_shape == (None, 1)
    # Paper S compares with its anchors; the others with all good images.
    assert recipe.references([0, 0, 0, 0, 1]).tolist() == ([0, 1] if name == "senarathna" else [0, 1, 2, 3])


def test_senarathna_is_the_network_of_the_paper():
    recipe = senarathna.build()
    assert recipe.model.count_params() == 38_964_545 and recipe.side == 100
    neck = recipe.model.get_layer("neck")
    assert [type(layer) for layer in neck.layers[1:]] == [keras.layers.Flatten, keras.layers.Dense]
    assert neck.output_shape == (None, 4096) and neck.layers[-1].activation is keras.activations.sigmoid


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [("custom_cnn", 467.6), ("vgg19", 1473.5), ("resnet50", 5027.0), ("inception_v3", 362.1)],
)
def test_senarathna_has_the_sizes_of_table_ii(name, megabytes):
    """The paper prints 467 MB, 1.47 GB, 5.03 GB and 363 MB."""
    backbone, _ = backbones.build(name, weights="none")
    # The rest is counted by hand: the dense layer behind ResNet50 alone would fill 1.6 GB.
    dense, unit = (int(np.prod(backbone.output_shape[1:])) + 1) * 4096, 4097
    assert size_megabytes(backbone) + 12 * (dense + unit) / 1e6 == pytest.approx(megabytes, abs=0.06)


def test_senarathna_settings_reach_the_model():
    recipe = senarathna.build("mobilenet", weights="none", distance="cosine", side=64, epochs=3)
    assert recipe.epochs == 3 and recipe.model.get_layer("distance").get_layer("cosine")
    assert not recipe.model.get_layer("backbone").trainable_weights
    with pytest.raises(ValueError, match="backbone among"):
        senarathna.build("resnet18")


@pytest.mark.parametrize(("position", "channels"), zip(POSITIONS, (64, 128, 256, 512, 512), strict=True))
def test_takimoto_on_vgg16_at_every_position(position, channels):
    recipe = takimoto.build(weights="none", position=position)
    backbone, d = recipe.model.get_layer("backbone"), channels
    mechanism = 2 * (9 * d * d + d) + 4 * d + (d * d + d) + (d + 1) + 4
    assert backbone.count_params() == 14_714_688 + mechanism and recipe.branch.count_params() == 2 * d + 2
    side = 224 // 2 ** POSITIONS.index(position)
    assert backbone.get_layer(attention.MAP).output.shape == (None, side, side, 1)
    assert recipe.model.get_layer("neck").output_shape == (None, 512) and recipe.branch.output_shape == (None, 2)


def test_takimoto_method_one_has_no_attention_and_method_two_no_branch():
    one, two = small(position=None, branch_weight=0), small(position=10, branch_weight=0)
    assert attention.MAP not in [layer.name for layer in one.model.get_layer("backbone").layers]
    assert attention.MAP in [layer.name for layer in two.model.get_layer("backbone").layers] and two.branch is None
    assert [small(batching=batching).batch_size for batching in ("pairs", "images")] == [16, 40]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"position": None}, "Expected a position for the attention"),
        ({"position": 3}, "Expected a position among"),
        ({"loss": "triplet"}, "Expected a loss among"),
        ({"batching": "anchors"}, "Expected a batching among pairs, images"),
    ],
)
def test_takimoto_settings_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["contrastive", "pair_balanced"])
def test_takimoto_s_total_loss_is_that_of_output_1_plus_w_times_that_of_output_2(loss, rng):
    """Equation 3, recomputed from both embeddings of the one step there is, with weights that do not move."""
    recipe = tiny(
        branch_weight=1.5, loss=loss, margin=2.0, branch_margin=0.5, learning_rate=0.0, epochs=1, batch_size=12
    )
    for layer in recipe.model.get_layer("backbone").layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)  # training then sees what we see
    images, labels = rng.integers(0, 256, (6, 16, 16, 3), np.uint8), np.array([0, 0, 0, 1, 1, 0])
    (total,) = training.fit(recipe, images, labels, rng)
    outputs = siamese.with_branch(recipe.model, recipe.branch)(images.astype(np.float32))
    index, y = recipe.pairing(labels)
    first, second = (
        float(loss(y, distances(np.asarray(out), index)[:, None]))
        for loss, out in zip((recipe.loss, recipe.branch_loss), outputs, strict=True)
    )
    assert (recipe.loss.margin, recipe.branch_loss.margin) == (2.0, 0.5)
    assert total == pytest.approx(first + 1.5 * second, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("batching", ["pairs", "images"])
def test_takimoto_learns_from_margins_of_twice_the_median_distance_of_each_output(batching, rng):
    images, labels = rng.integers(90, 110, (12, 16, 16, 3)).astype(np.uint8), np.repeat([0, 1], 6)
    images[6:, 5:11, 5:11] = 250
    recipe = tiny(batching=batching, learning_rate=1e-2, epochs=4)
    index, pair_labels = pairs.all_pairs(labels)
    outputs = siamese.embed_both(recipe.model, recipe.branch, images)
    expected = [2 * np.median(distances(output, index[pair_labels[:, 0] == 1])) for output in outputs]
    losses = training.fit(recipe, images, labels, rng)
    margins = [recipe.loss.margin, recipe.branch_loss.margin]
    assert losses[-1] < losses[0] and margins == pytest.approx(expected, rel=1e-4)


def test_livieris_text_and_code():
    text, code = (livieris.build("mobilenet", "none", variant) for variant in ("text", "code"))
    assert (text.side, code.side) == (224, 320) and text.loss.margin == code.loss.margin == 2
    assert (text.optimizer.global_clipnorm, code.optimizer.global_clipnorm) == (None, 1.0)
    assert text.model.get_layer("neck").output_shape == (None, 256)
    assert code.model.get_layer("neck").output_shape == (None, 2)
    distance = code.model.get_layer("distance")([np.zeros((2, 2)), np.array([[0.3, 0.4], [3, 4]])])
    np.testing.assert_allclose(distance, [[0.5], [1]], rtol=1e-5)
    with pytest.raises(ValueError, match=r"variant among text, code. Received: 'x'"):
        livieris.build(variant="x")


def test_livieris_frozen_trains_the_layers_after_the_backbone_only():
    frozen, whole = (livieris.build("mobilenet", "none", frozen=frozen, side=64) for frozen in (True, False))
    assert len(frozen.model.trainable_weights) == 4  # of two dense layers
    assert whole.model.get_layer("backbone").trainable_weights


def test_livieris_sigmoid_unit_starts_at_the_distances(rng):
    recipe = livieris.build("custom_cnn", "none", frozen=True, side=64, learning_rate=0.0, batch_size=8, epochs=1)
    images, labels = rng.integers(0, 256, (10, 64, 64, 3)).astype(np.uint8), np.arange(10) % 2
    index, pair_labels = recipe.pairing(labels, np.arange(10), rng)
    training.fit(recipe, images, labels, rng, pairs=(index, pair_labels))
    out = np.asarray(recipe.model([images[index[:, side]].astype(np.float32) for side in (0, 1)]))
    assert np.median(out) == pytest.approx(0.5, abs=0.01)
    assert np.std(np.log(out / (1 - out))) == pytest.approx(1, abs=0.02)


def test_patches_compare_two_layers_and_train_nothing(rng):
    recipe = patches.build(weights="none", side=(64, 96))
    assert recipe.size == (64, 96) and len(recipe.views) == 4 and not recipe.model.trainable_weights
    backbone, neck, _ = siamese.parts(recipe.model)
    assert backbones.channels(backbone) == [384, 384] and neck.output_shape == (None, 3, 5, 2 * 128)
    embeddings = scoring.embed(recipe.model, rng.integers(0, 256, (1, 64, 96, 3)))
    assert np.allclose(np.linalg.norm(embeddings.reshape(-1, 2, 128), axis=-1), 1, atol=1e-5)  # each layer's
    deeper = patches.build(weights="none", side=64, layers=["conv_pw_11_relu"], window=1, views="none")
    assert deeper.model.get_layer("neck").output_shape == (None, 4, 4, 128) and len(deeper.views) == 1


def test_patches_keep_the_principal_components_of_the_good_images(rng):
    """Of the two there are, the cosine is what it was; the order of the images does not matter."""
    image = keras.Input((None, None, 3))
    mine = keras.Model(image, keras.layers.Conv2D(3, 8, strides=8, activation="relu")(image))
    kernel, bias = mine.layers[-1].get_weights()
    kernel[..., 2] = kernel[..., 0]  # two of three features are the same: two components hold all
    mine.layers[-1].set_weights([kernel, bias])
    images = rng.integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    reduced, whole = (patches.build(mine, side=64, components=count, window=1) for count in (2, None))
    assert not reduced.adapt(reduced.model, images)
    few, every = (scoring.embed(recipe.model, images).reshape(-1, size) for recipe, size in ((reduced, 2), (whole, 3)))
    assert np.allclose(few @ few.T, every @ every.T, atol=1e-4)
    before = reduced.model.get_layer("neck").get_weights()
    reduced.adapt(reduced.model, images[::-1])
    assert np.allclose(before, reduced.model.get_layer("neck").get_weights(), atol=1e-4)


def test_patches_of_the_filter_bank_need_no_window_and_no_mirrors():
    recipe = patches.build("filter_bank", side=64)
    assert recipe.weights == "fixed" and len(recipe.views) == 1
    assert recipe.model.get_layer("neck").output_shape == (None, 4, 4, 79)


def test_patches_of_a_model_of_ones_own():
    image = keras.Input((None, None, 3))
    mine = keras.Model(image, keras.layers.Conv2D(5, 8, strides=8, activation="relu")(image))
    recipe = patches.build(mine, side=64)
    assert recipe.weights == "given" and recipe.model.get_layer("neck").output_shape == (None, 7, 7, 5)


def test_patches_settings_that_are_refused(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"sides of at least 32 pixels.*Received: 31 x 31"):
        patches.build(side=31)
    with pytest.raises(ValueError, match=r"Expected a layer of MobileNet 0.75.*Received: 'conv_99'"):
        patches.build(weights="none", layers=["conv_99"])
    with pytest.raises(ValueError, match=r"power in \(0, 1\]. Received: 0"):
        patches.build(power=0)

    def offline(*args, **kwargs):
        raise OSError("no route")

    monkeypatch.setenv("FSAD_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(weights.socket, "create_connection", offline)
    with pytest.raises(weights.WeightsError, match=r"MobileNet 0.75: mobilenet_v1"):
        patches.build()  # which backbone to use instead is the caller's to say
