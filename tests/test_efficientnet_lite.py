import numpy as np
import pytest

from fsad import backbones
from fsad.backbones import efficientnet_lite, pytorch_file
from fsad.images import read_images
from fsad.weights import WeightsError


def test_blocks_as_published():
    model, loaded = backbones.build("efficientnet_lite0", "none", 64)
    assert loaded == "random" and model.output_shape == (None, 2, 2, 320)
    # 4,652,008 parameters are published: of the blocks, the last convolution with its normalization, and the classes.
    blocks = sum(int(np.prod(w.shape)) for w in model.weights if "moving" not in w.name)
    assert blocks + 1280 * (320 + 2) + 1000 * (1280 + 1) == 4_652_008
    assert model.get_layer("block_10").output.shape[1:] == (4, 4, 112)


def test_the_package_brings_every_array_of_the_network():
    arrays = pytorch_file.read(efficientnet_lite.locate())
    model, loaded = backbones.build("efficientnet_lite0", side=32)
    assert loaded == "imagenet"
    assert np.array_equal(model.get_layer("stem").get_weights()[0], arrays["_conv_stem.weight"].transpose(2, 3, 1, 0))
    last = model.get_layer("block_15").get_weights()  # normalization: scale, offset, mean, variance
    names = ("weight", "bias", "running_mean", "running_var")
    assert all(np.array_equal(a, arrays[f"_blocks.15._bn2.{name}"]) for a, name in zip(last, names, strict=True))


def test_without_the_package_the_error_says_how_to_get_it(offline):
    with pytest.raises(WeightsError, match="no such package"):
        backbones.build("efficientnet_lite0")


@pytest.mark.data
def test_knows_daisies(real):
    """With the classifier, which is in the file too: 985 is ImageNet's class daisy."""
    model, _ = backbones.build("efficientnet_lite0", side=224)
    arrays = pytorch_file.read(efficientnet_lite.locate())
    maps = np.asarray(model(read_images(sorted((real("flowers") / "daisy").iterdir())[:12], 224).astype(np.float32)))
    scale, offset, mean, variance = (arrays[f"_bn1.{n}"] for n in ("weight", "bias", "running_mean", "running_var"))
    units = (maps @ arrays["_conv_head.weight"][:, :, 0, 0].T - mean) / np.sqrt(variance + 1e-3) * scale + offset
    classes = np.clip(units, 0, 6).mean((1, 2)) @ arrays["_fc.weight"].T + arrays["_fc.bias"]
    assert np.mean(classes.argmax(1) == 985) > 0.7
