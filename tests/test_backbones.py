import os
from pathlib import Path

import keras
import numpy as np
import pytest

from fsad import backbones


def test_custom_cnn_is_the_one_the_paper_s_size_fixes():
    model, loaded = backbones.build("custom_cnn")
    assert loaded == "random"
    assert model.input_shape == (None, 100, 100, 3) and model.output_shape == (None, 6, 6, 256)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(c.filters, c.kernel_size[0]) for c in convolutions] == [(64, 10), (128, 7), (128, 4), (256, 4)]
    assert model.count_params() == 19_264 + 401_536 + 262_272 + 524_544


# What keras.applications asks users to do outside the model must happen inside it.
@pytest.mark.parametrize(
    ("name", "module"),
    [("vgg16", "vgg16"), ("resnet50", "resnet50"), ("inception_v3", "inception_v3"), ("mobilenet", "mobilenet")],
)
def test_preprocessing_is_that_of_keras_applications(name, module, rng):
    pictures = rng.uniform(0, 255, (2, 75, 75, 3)).astype(np.float32)
    picture = keras.Input((75, 75, 3))
    inside = keras.Model(picture, backbones._preprocess(picture, backbones.SPECS[name].mode))
    outside = getattr(keras.applications, module).preprocess_input(pictures.copy())
    assert np.allclose(inside(pictures), outside, atol=1e-4)


def test_frozen_as_in_the_paper():
    frozen = {name for name, spec in backbones.SPECS.items() if spec.frozen}
    assert frozen == {"filter_bank", "resnet50", "mobilenet", "mobilenet_v2"}
    model, _ = backbones.build("mobilenet", weights="none", side=64)
    assert not model.trainable_weights and model.output_shape == (None, 2, 2, 768)


def test_unreachable_imagenet_goes_on_from_random_weights_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(backbones, "source", lambda name, weights: "network")
    original = keras.applications.MobileNetV2

    def offline(*args, weights="imagenet", **kwargs):
        if weights == "imagenet":
            raise Exception("URL fetch failure")
        return original(*args, weights=weights, **kwargs)

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    _, loaded = backbones.build("mobilenet_v2", side=64)
    assert loaded == "random" and "cannot be reached" in caplog.text


def test_source_tells_where_weights_would_come_from(monkeypatch, tmp_path):
    monkeypatch.setenv("FSAD_WEIGHTS_DIR", str(tmp_path / "w"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def offline(*args, **kwargs):
        raise OSError("no route")

    monkeypatch.setattr(backbones.socket, "create_connection", offline)
    assert backbones.source("vgg19", "none") == backbones.source("custom_cnn", "imagenet") == "none"
    assert backbones.source("vgg19", "imagenet") == "unreachable"
    for folder in (tmp_path / "keras" / "models", tmp_path / "w"):  # the later one is asked first
        folder.mkdir(parents=True)
        file = folder / backbones.SPECS["vgg19"].files[0]
        file.touch()
        assert backbones.source("vgg19", "imagenet") == str(file)


def test_weights_come_back_from_a_path(tmp_path, rng):
    first, _ = backbones.build("custom_cnn", side=64)
    first.save_weights(tmp_path / "w.weights.h5")
    second, loaded = backbones.build("custom_cnn", weights=str(tmp_path / "w.weights.h5"), side=64)
    pictures = rng.uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    assert loaded.endswith("w.weights.h5") and np.allclose(first(pictures), second(pictures))


def test_bad_names_and_weights_are_named(tmp_path):
    with pytest.raises(ValueError, match="custom_cnn, filter_bank, vgg16"):
        backbones.build("alexnet")
    with pytest.raises(FileNotFoundError, match=r"gone\.h5"):
        backbones.build("custom_cnn", weights=str(tmp_path / "gone.h5"))
    (tmp_path / "bad.weights.h5").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"bad\.weights\.h5"):
        backbones.build("custom_cnn", weights=str(tmp_path / "bad.weights.h5"))


@pytest.mark.data
@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2"])
def test_real_imagenet_weights_tell_flowers_apart(name, real):
    folder = os.environ.get("FSAD_WEIGHTS_DIR")
    if not folder or not any((Path(folder) / f).is_file() for f in backbones.SPECS[name].files):
        pytest.skip("needs ImageNet weights: FSAD_WEIGHTS_DIR")
    from fsad import images

    model, loaded = backbones.build(name)
    assert loaded == "imagenet"
    paths = [p for kind in ("rose", "sunflower") for p in sorted((real("flowers") / kind).iterdir())[:12]]
    features = np.asarray(model(images.read_all(paths, 224).astype(np.float32))).mean((1, 2))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    nearest = (features @ features.T - 2 * np.eye(24)).argmax(1)
    assert ((nearest < 12) == (np.arange(24) < 12)).mean() >= 0.8  # chance is 0.5
