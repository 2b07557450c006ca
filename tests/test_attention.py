import keras
import numpy as np
import pytest

from fsad import attention, backbones, siamese
from fsad.explain.attention import attention_maps, has_attention


def small():
    """Two convolutions with a skip connection around the second, as in residual networks."""
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(image)
    y = keras.layers.Conv2D(6, 3, padding="same", name="second")(x)
    return keras.Model(image, keras.layers.Add(name="sum")([x, y]), name="backbone")


def test_the_mechanism_is_that_of_table_2():
    model = attention.insert(small(), "first")
    layers = [layer for layer in model.layers if layer.name.startswith("attention")]
    assert [(type(layer).__name__, layer.output.shape[1:]) for layer in layers] == [
        ("Conv2D", (16, 16, 6)),
        ("Conv2D", (16, 16, 6)),
        ("BatchNormalization", (16, 16, 6)),
        ("Conv2D", (16, 16, 6)),
        ("ReLU", (16, 16, 6)),
        ("Conv2D", (16, 16, 1)),
        ("BatchNormalization", (16, 16, 1)),
        ("Activation", (16, 16, 1)),
    ]
    kernels = [layer.kernel_size for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert kernels == [(3, 3), (3, 3), (1, 1), (1, 1)]
    d = 6
    expected = 2 * (9 * d * d + d) + 4 * d + (d * d + d) + (d + 1) + 4
    assert sum(layer.count_params() for layer in layers) == expected


def test_residual_attention_adds_the_features_themselves(rng):
    """(1 + M) F = M F + F, with M the same in both."""
    images = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    backbone = small()
    model = attention.insert(backbone, "first", residual=True)
    names = ("first", attention.MAP, "attended", "attended_residual")
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in names])(images)
    features, one_map, product, residual = map(np.asarray, outputs)
    np.testing.assert_allclose(product, features * one_map, rtol=1e-5)
    np.testing.assert_allclose(residual, features * (1 + one_map), rtol=1e-5)
    assert "attended_residual" not in [layer.name for layer in attention.insert(backbone, "first").layers]


def test_the_map_multiplies_the_features_on_every_branch_behind_the_layer(rng):
    backbone = small()
    model = attention.insert(backbone, "first")
    images = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    probe = keras.Model(model.input, [model.get_layer(n).output for n in ("first", attention.MAP)] + [model.output])
    first, attention_map, out = (np.asarray(v) for v in probe(images))
    attended = first * attention_map
    assert attention_map.shape == (2, 16, 16, 1) and attention_map.min() > 0 and attention_map.max() < 1
    assert np.allclose(out, attended + np.asarray(backbone.get_layer("second")(attended)), atol=1e-5)


def test_saving_and_loading_changes_nothing(tmp_path, rng):
    model = attention.insert(small(), "second")
    model.save(tmp_path / "m.keras")
    images = rng.normal(size=(1, 16, 16, 3)).astype(np.float32)
    assert np.array_equal(keras.models.load_model(tmp_path / "m.keras")(images), model(images))


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("vgg16", "block3_conv3", (16, 16, 1)),
        ("mobilenet", "conv_pw_5_relu", (8, 8, 1)),
        ("mobilenet_v2", "block_2_expand_relu", (16, 16, 1)),
        ("resnet50", "conv3_block1_out", (8, 8, 1)),
    ],
)
def test_can_be_inserted_into_any_backbone(name, layer, shape):
    backbone, _ = backbones.build(name, "none", 64)
    model = attention.insert(backbone, layer)
    assert model.get_layer(attention.MAP).output.shape[1:] == shape and model.output_shape == backbone.output_shape


def test_the_branch_is_the_mean_of_a_convolution(rng):
    branch = attention.branch((4, 5, 6))
    hidden = rng.normal(size=(2, 4, 5, 6)).astype(np.float32)
    kernel, bias = (np.asarray(w) for w in branch.get_layer("branch_convolution").weights)
    assert branch.output_shape == (None, 2) and branch.count_params() == 6 * 2 + 2
    assert np.allclose(branch(hidden), (hidden @ kernel[0, 0]).mean((1, 2)) + bias, atol=1e-5)


def test_maps_of_a_two_input_model(rng):
    body = attention.insert(small(), "first")
    features = keras.Input(body.output_shape[1:])
    neck = keras.Model(features, keras.layers.GlobalAveragePooling2D()(features), name="neck")
    model = siamese.build(body, neck, siamese.bare_distance(6))
    images = rng.integers(0, 256, (5, 16, 16, 3), np.uint8)
    maps = attention_maps(model, images, batch_size=2)
    assert maps.shape == (5, 16, 16) and has_attention(model)
    probe = keras.Model(body.input, body.get_layer(attention.MAP).output)
    assert np.allclose(maps, probe(images.astype(np.float32))[..., 0], atol=1e-6)
    plain = siamese.build(small(), neck, siamese.bare_distance(6))
    with pytest.raises(ValueError, match="one without"):
        attention_maps(plain, images)
    with pytest.raises(ValueError, match="at least one image"):
        attention_maps(model, images[:0])


def test_rejects_unknown_layers_and_layers_without_maps():
    with pytest.raises(ValueError, match="Expected a layer of the backbone"):
        attention.insert(small(), "third")
    image = keras.Input((8, 8, 3))
    flat = keras.Model(image, keras.layers.Dense(3, name="dense")(keras.layers.Flatten()(image)))
    with pytest.raises(ValueError, match="feature map"):
        attention.insert(flat, "dense")
