import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from fsad import backbones, weights
from fsad.images import read_images


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No weights on this machine, and no network."""

    def refuse(*args, **kwargs):
        raise OSError("no route")

    monkeypatch.setenv("FSAD_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(weights.socket, "create_connection", refuse)


def small(side=32):
    """A backbone of the user's own, of stride 4, with a skip connection and batch normalization."""
    image = keras.Input((side, side, 3), name="photo")
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="first")(layers.Rescaling(1 / 255)(image))
    x = layers.Add(name="sum")([x, layers.BatchNormalization()(x)])
    return keras.Model(image, layers.MaxPooling2D(name="pool")(x), name="mine")


def test_custom_cnn_is_the_one_the_paper_s_size_fixes():
    model, loaded = backbones.build("custom_cnn")
    assert loaded == "random"
    assert model.input_shape == (None, 100, 100, 3) and model.output_shape == (None, 6, 6, 256)
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert [(c.filters, c.kernel_size[0]) for c in convolutions] == [(64, 10), (128, 7), (128, 4), (256, 4)]
    assert model.count_params() == 19_264 + 401_536 + 262_272 + 524_544


def test_preprocessing_is_that_of_keras_applications(rng):
    """What keras.applications asks users to do outside of a network happens inside, for each of its networks."""
    images = rng.uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    image, modes = keras.Input((8, 8, 3)), set()
    networks = [name for name in dir(keras.applications) if callable(getattr(keras.applications, name))]
    for name in [*networks, "vgg16", "resnet50", "inception_v3", "mobilenet", "mobilenet_v2"]:
        spec = backbones.spec_of(name)
        module = sys.modules[getattr(keras.applications, spec.application).__module__]
        inside = keras.Model(image, backbones._preprocess(image, spec.mode))
        assert np.allclose(inside(images), module.preprocess_input(images.copy()), atol=1e-4), name
        modes.add(spec.mode)
    assert modes == {"caffe", "torch", "unit", "none"}


def test_frozen_as_in_the_paper():
    frozen = {name for name, spec in backbones.SPECS.items() if spec.frozen}
    assert frozen == {
        "filter_bank",
        "resnet50",
        "mobilenet",
        "mobilenet_v2",
        "efficientnet_lite0",
        *backbones.dinov2.SIZES,
    }
    model, _ = backbones.build("mobilenet", weights="none", side=64)
    assert not model.trainable_weights and model.output_shape == (None, 2, 2, 768)


@pytest.mark.parametrize(
    "name", [name for name, spec in backbones.SPECS.items() if spec.patch_layers and spec.application]
)
def test_patch_layers_have_stride_16(name):
    """Half of it for the VGG networks, whose layers of stride 16 are the last."""
    model, _ = backbones.build(name, "none", 96, list(backbones.SPECS[name].patch_layers))
    assert model.output_shape[1] == {"inception_v3": 4, "vgg16": 12, "vgg19": 12}.get(name, 6)


def test_attention_layers_by_position():
    assert backbones.attention_layer("vgg16", 10) == "block4_conv3"
    assert backbones.attention_layer("mobilenet", 2) == "conv_pw_1_relu"
    assert backbones.attention_layer("resnet50", "conv3_block1_out") == "conv3_block1_out"
    assert backbones.attention_layer("vgg16", None) is None
    for backbone, position in (("vgg16", 3), ("resnet50", 10)):
        with pytest.raises(ValueError, match=rf"\(2, 4, 7, 10, 13\) of vgg16, mobilenet.*{position} of {backbone}"):
            backbones.attention_layer(backbone, position)


@pytest.mark.slow
def test_any_network_of_keras_applications_at_a_stride():
    model, loaded = backbones.build("MobileNetV3Small", weights="none", side=64, layer=16)
    assert loaded == "random" and model.output_shape[1:3] == (4, 4) and not model.trainable
    # InceptionV3 does not pad its borders: 10 cells of 192 pixels are the nearest to a stride of 16.
    model, _ = backbones.build("InceptionV3", weights="none", side=192, layer=16)
    assert model.output_shape[1:3] == (10, 10)
    assert backbones.spec_of("VGG16") is backbones.SPECS["vgg16"]


def test_a_model_of_ones_own_is_copied(rng):
    mine = small()
    mine.get_layer("first").trainable = False
    images = rng.uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    before = np.asarray(mine(images))
    model, loaded = backbones.build(mine)
    assert (model.name, loaded) == ("backbone", "given")
    assert np.array_equal(model(images), before) and not model.get_layer("first").trainable
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert np.array_equal(mine(images), before)
    assert backbones.build(mine, layer="sum")[0].output_shape == (None, 16, 16, 4)
    assert backbones.build(mine, layer=2)[0].layers[-1].name == "sum"  # the last of stride 2
    assert backbones.build(small(side=None), side=64)[0].output_shape == (None, 16, 16, 4)


def test_a_model_against_the_contract_is_refused():
    image, gray = keras.Input((32, 32, 3)), keras.Input((32, 32, 1))
    flat = keras.Model(image, layers.Flatten()(image))
    two = keras.Model([image, gray], layers.Concatenate()([image, gray]))
    cases = [
        (flat, {}, r"puts out feature maps.*Received: \(None, 3072\)"),
        (two, {}, "of one input and one output"),
        (keras.Model(gray, layers.ReLU()(gray)), {}, r"Received: \(None, 32, 32, 1\)"),
        (small(side=None), {}, "Expected side.*mine takes any size"),
        (small(), {"side": 64}, "Expected side 32, which the backbone mine takes. Received: 64"),
        (small(), {"layer": "second"}, "Expected a layer of mine: .*first.*Received: 'second'"),
    ]
    for model, options, message in cases:
        with pytest.raises(ValueError, match=message):
            backbones.build(model, **options)


def test_imagenet_weights_that_are_not_to_be_had_are_an_error(offline, monkeypatch):
    with pytest.raises(weights.WeightsError, match=r"ImageNet weights of MobileNetV2: mobilenet_v2.*no route"):
        backbones.build("mobilenet_v2", side=64)
    network = keras.applications.MobileNetV3Small

    def without_download(weights=None, **options):
        if weights == "imagenet":
            raise Exception("URL fetch failure")
        return network(weights=weights, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", without_download)
    with pytest.raises(weights.WeightsError, match=r"ImageNet weights of MobileNetV3Small.*URL fetch failure"):
        backbones.build("MobileNetV3Small", side=64)


def test_locate_knows_which_backbones_have_files(offline, tmp_path):
    assert backbones.locate("custom_cnn") is backbones.locate("filter_bank") is backbones.locate(small()) is None
    with pytest.raises(weights.WeightsError, match="VGG19"):
        backbones.locate("vgg19")
    path = tmp_path / backbones.SPECS["vgg19"].files[0]
    path.touch()
    assert backbones.locate("vgg19") == path


def test_weights_come_back_from_a_path(tmp_path, rng):
    first, _ = backbones.build("custom_cnn", side=64)
    path = str(tmp_path / "w.weights.h5")
    first.save_weights(path)
    second, loaded = backbones.build("custom_cnn", weights=path, side=64)
    images = rng.uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    assert loaded == path and np.allclose(first(images), second(images))


def test_bad_names_and_weights_are_named(tmp_path):
    for name in ("alexnet", "vgg16_notop", "preprocess_input", 7):
        with pytest.raises(ValueError, match=f"custom_cnn, filter_bank, vgg16.*Received: {name!r}"):
            backbones.build(name)
    with pytest.raises(FileNotFoundError, match=r"gone\.h5"):
        backbones.build("custom_cnn", weights=str(tmp_path / "gone.h5"))
    (tmp_path / "bad.weights.h5").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"bad\.weights\.h5"):
        backbones.build("custom_cnn", weights=str(tmp_path / "bad.weights.h5"))


@pytest.mark.data
@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2"])
def test_real_imagenet_weights_tell_flowers_apart(name, real):
    folder = os.environ.get("FSAD_WEIGHTS_DIR")
    if not folder or not any((Path(folder) / file).is_file() for file in backbones.SPECS[name].files):
        pytest.skip("needs ImageNet weights: FSAD_WEIGHTS_DIR")
    model, loaded = backbones.build(name)
    assert loaded == "imagenet"
    paths = [path for kind in ("rose", "sunflower") for path in sorted((real("flowers") / kind).iterdir())[:12]]
    features = np.asarray(model(read_images(paths, 224).astype(np.float32))).mean((1, 2))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    nearest = (features @ features.T - 2 * np.eye(24)).argmax(1)
    assert ((nearest < 12) == (np.arange(24) < 12)).mean() >= 0.8  # chance is 0.5


def test_a_sequential_model_and_others(rng):
    layers = [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, name="image")]
    model, loaded = backbones.build(keras.Sequential(layers))
    assert loaded == "given" and model.output_shape == (None, 30, 30, 4)
    with pytest.raises(ValueError, match="Expected a functional Keras model"):
        backbones.build(keras.Sequential([keras.layers.Conv2D(4, 3)]), side=32)
