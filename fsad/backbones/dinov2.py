"""DINOv2 (Oquab et al. 2024), a vision transformer, by keras-hub.

    pip install "fsad[dino]"

Its weights are downloaded by keras-hub from Kaggle unless a folder or another address is given.
"""

import importlib.util

import keras
from keras import layers

from fsad.weights import WeightsError

PATCH = 14  # pixels
SIZES = {"dinov2_small": (384, 6), "dinov2_base": (768, 12)}  # channels, heads; twelve blocks each


def build(name, prepared, weights, blocks):
    """Feature maps of some blocks, each layer-normed, and what was loaded.

    Args:
        name: a key of `SIZES`.
        prepared: a tensor of square images ``(S, S, 3)``, S a multiple of 14, as ImageNet's mean and deviation make
            them.
        weights: ``"imagenet"`` for keras-hub's preset of that name; ``"none"``; or a preset to load in its place: a
            folder, ``kaggle://...`` or ``hf://...``.
        blocks: names, ``"block_1"`` to ``"block_12"``.

    Returns:
        ``(maps, loaded)``: a list of tensors ``(S / 14, S / 14, channels)``; tokens that are no patches are left out.

    Raises:
        WeightsError: keras-hub is not installed, or the weights are not to be had.
        ValueError: another side, or no such block.
    """
    side, width, _ = prepared.shape[1:]
    if side != width or side % PATCH:
        raise ValueError(f"Expected squares of a multiple of {PATCH} pixels for {name}. Received: {width} x {side}")
    known = [f"block_{k}" for k in range(1, 13)]
    if unknown := [block for block in blocks if block not in known]:
        raise ValueError(f"Expected blocks of {name}: {', '.join(known)}. Received: {unknown[0]!r}")
    network = _network(name, weights, (side, side, 3))
    outputs = [network.pyramid_outputs[f"stage{known.index(block) + 1}"] for block in blocks]
    tokens = keras.Model(network.inputs, outputs, name=name)({"images": prepared})
    first = 1 + network.num_register_tokens  # the token of the class comes first, then registers
    maps = []
    for block, x in zip(blocks, tokens, strict=True):
        grid = (side // PATCH, side // PATCH, x.shape[-1])
        maps.append(layers.Reshape(grid, name=block)(layers.Cropping1D((first, 0), name=f"{block}_patches")(x)))
    return maps, {"imagenet": "imagenet", "none": "random"}.get(weights, weights)


def _network(name, weights, shape):
    if importlib.util.find_spec("keras_hub") is None:
        raise WeightsError(f'Expected keras-hub for {name}: pip install "fsad[dino]". Received: no such package')
    from keras_hub.models import DINOV2Backbone

    options = {"image_shape": shape, "apply_layernorm": True}
    if weights == "none":
        channels, heads = SIZES[name]
        return DINOV2Backbone(PATCH, 12, channels, heads, 4 * channels, position_embedding_shape=(518, 518), **options)
    preset = name if weights == "imagenet" else weights
    try:
        return DINOV2Backbone.from_preset(preset, **options)
    except Exception as error:  # keras-hub and its downloaders raise what they like
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"Expected weights of {name}: a network to fetch {preset} by, or --weights=FOLDER of a keras-hub preset. "
            f"Received: {reason}"
        ) from error
