import json

import keras
import numpy as np
import pytest

from fsad.backbones import own


@pytest.fixture
def model():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2")(image)
    return keras.Model(image, keras.layers.Add()([x, x * 2 + 1]), name="small")


def changed(description, **values):
    """The description with other values in its convolution."""
    layers = description["config"]["layers"]
    place = next(k for k, layer in enumerate(layers) if layer["class_name"] == "Conv2D")
    layers[place] = {**layers[place], "config": {**layers[place]["config"], **values.pop("config", {})}, **values}
    return description


def test_a_description_gives_the_same_network(model, rng):
    again = own.built(json.loads(json.dumps(own.described(model))))
    again.set_weights(model.get_weights())
    images = rng.uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    assert again.name == "small" and np.array_equal(again(images), model(images))


def test_a_backbone_with_a_function_is_refused_before_it_is_saved():
    image = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"without functions. Received: keras.layers.Lambda in code"):
        own.described(keras.Model(image, keras.layers.Lambda(lambda x: x)(image), name="code"))


@pytest.mark.parametrize(
    "change",
    [
        {"module": "keras.layers", "class_name": "TFSMLayer"},
        {"module": "keras.layers", "class_name": "Lambda"},
        {"module": "keras", "class_name": "layers.Lambda"},
        {"module": "keras.datasets.mnist", "class_name": "load_data"},
        {"module": "keras.visualization", "class_name": "plot_image_gallery"},
        {"module": "keras.config", "class_name": "set_floatx"},
        {"module": "builtins", "class_name": "eval"},
        {"module": "os", "class_name": "system"},
        {"registered_name": "fsad>NearestPatch"},
        {"config": {"activation": {"module": "builtins", "class_name": "function", "config": "exec"}}},
        {"config": {"activation": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}}}},
        {"config": {"activation": "plot_model"}},
        {"config": {"kernel_initializer": {"module": "keras.utils", "class_name": "get_file", "config": {}}}},
        {"config": {"dtype": {"module": "keras", "class_name": "Function", "config": {}}}},
    ],
)
def test_what_could_run_is_not_built(model, change):
    with pytest.raises(ValueError, match=r"Expected layers of Keras only|Expected an activation"):
        own.built(changed(own.described(model), **change))


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="Received: ReLU"):
        own.built({"module": "keras.layers", "class_name": "ReLU", "config": {}, "registered_name": None})
