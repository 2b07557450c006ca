import keras
import numpy as np
import pytest

from fsad import attention, backbones, siamese
from fsad.explain import attention as explained


def small():
    """Two convolutions with a way around the second, as residual networks have."""
    picture = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(picture)
    y = keras.layers.Conv2D(6, 3, padding="same", name="second")(x)
    return keras.Model(picture, keras.layers.Add(name="sum")([x, y]), name="backbone")


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


def test_the_map_multiplies_the_features_on_every_way_that_leaves_the_layer(rng):
    backbone = small()
    model = attention.insert(backbone, "first")
    pictures = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    probe = keras.Model(model.input, [model.get_layer(n).output for n in ("first", attention.MAP)] + [model.output])
    first, heat, out = (np.asarray(v) for v in probe(pictures))
    attended = first * heat
    assert heat.shape == (2, 16, 16, 1) and heat.min() > 0 and heat.max() < 1
    assert np.allclose(out, attended + np.asarray(backbone.get_layer("second")(attended)), atol=1e-5)


def test_saved_and_loaded_it_is_the_same(tmp_path, rng):
    model = attention.insert(small(), "second")
    model.save(tmp_path / "m.keras")
    pictures = rng.normal(size=(1, 16, 16, 3)).astype(np.float32)
    assert np.array_equal(keras.models.load_model(tmp_path / "m.keras")(pictures), model(pictures))


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("vgg16", "block3_conv3", (16, 16, 1)),
        ("mobilenet", "conv_pw_5_relu", (8, 8, 1)),
        ("mobilenet_v2", "block_2_expand_relu", (16, 16, 1)),
        ("resnet50", "conv3_block1_out", (8, 8, 1)),
    ],
)
def test_attaches_to_any_backbone(name, layer, shape):
    backbone, _ = backbones.build(name, "none", 64)
    model = attention.insert(backbone, layer)
    assert model.get_layer(attention.MAP).output.shape[1:] == shape and model.output_shape == backbone.output_shape


def test_the_branch_is_a_convolution_and_its_mean(rng):
    branch = attention.branch((4, 5, 6))
    hidden = rng.normal(size=(2, 4, 5, 6)).astype(np.float32)
    kernel, bias = (np.asarray(w) for w in branch.get_layer("branch_convolution").weights)
    assert branch.output_shape == (None, 2) and branch.count_params() == 6 * 2 + 2
    assert np.allclose(branch(hidden), (hidden @ kernel[0, 0]).mean((1, 2)) + bias, atol=1e-5)


def test_maps_of_a_two_picture_model(rng):
    body = attention.insert(small(), "first")
    features = keras.Input(body.output_shape[1:])
    neck = keras.Model(features, keras.layers.GlobalAveragePooling2D()(features), name="neck")
    model = siamese.build(body, neck, siamese.bare_distance(6))
    pictures = rng.integers(0, 256, (5, 16, 16, 3), np.uint8)
    maps = explained.attention(model, pictures, batch_size=2)
    assert maps.shape == (5, 16, 16) and explained.has_attention(model)
    probe = keras.Model(body.input, body.get_layer(attention.MAP).output)
    assert np.allclose(maps, probe(pictures.astype(np.float32))[..., 0], atol=1e-6)
    plain = siamese.build(small(), neck, siamese.bare_distance(6))
    with pytest.raises(ValueError, match="one without"):
        explained.attention(plain, pictures)
    with pytest.raises(ValueError, match="at least one picture"):
        explained.attention(model, pictures[:0])


def test_refuses_layers_that_are_not_there_or_hold_no_maps():
    with pytest.raises(ValueError, match="Expected a layer of the backbone"):
        attention.insert(small(), "third")
    picture = keras.Input((8, 8, 3))
    flat = keras.Model(picture, keras.layers.Dense(3, name="dense")(keras.layers.Flatten()(picture)))
    with pytest.raises(ValueError, match="feature maps"):
        attention.insert(flat, "dense")
