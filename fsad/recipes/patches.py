"""Nearest reference patch: every patch of an image asks how near the nearest patch of any reference is."""

import keras
from keras import layers

from fsad import backbones, siamese
from fsad.augment import MIRRORS
from fsad.recipes.recipe import Recipe


def build(backbone="mobilenet", weights="imagenet", layer=None, side=320, fraction=0.03, window=None, mirrored=None):
    """The default recipe of `fsad.Detector`, which trains nothing.

    A frozen backbone ends at a middle layer, the neck averages the features over windows of 2 x 2 cells and scales
    them to unit length, and the distance is `fsad.layers.NearestPatch`. References are also taken as seen in a
    mirror, which shows more of what a good part may look like. After PatchCore (Roth et al.
    2022), as a Siamese comparison. ``experiments/ablations/few.py`` shows what each piece is worth.

    Args:
        backbone, weights: as in `fsad.backbones.build`. Untrained random features are uninformative: without ImageNet
            weights, ``backbone="filter_bank"`` does better.
        layer: where the backbone ends; the patch layer of its `fsad.backbones.Spec` if None, and the output of a Keras
            model of your own.
        side: input side in pixels.
        fraction: of the patches, the farthest, that make the score.
        window: cells per side to average over, 1 or 2. None: 2, but 1 for the filter bank, which averages by itself.
        mirrored: whether references are taken mirrored left to right, top to bottom, and both, too. None: yes, but
            not for the filter bank, which it does not help.
    """
    if side < 32:
        raise ValueError(f"Expected a side of at least 32 pixels: a patch is 16. Received: {side}")
    body, loaded = backbones.build(backbone, weights, side, layer or backbones.spec_of(backbone).patch_layer)
    body.trainable = False
    network = loaded != "fixed"
    window = window or (2 if network else 1)
    maps = keras.Input(body.output_shape[1:], name="maps")
    averaged = layers.AveragePooling2D(window, strides=1, name="window")(maps) if window > 1 else maps
    neck = keras.Model(maps, layers.UnitNormalization(axis=-1, name="unit")(averaged), name="neck")
    distance = siamese.patch_distance(neck.output_shape[1:], fraction, window)
    views = MIRRORS if (network if mirrored is None else mirrored) else MIRRORS[:1]
    return Recipe("patches", siamese.build(body, neck, distance), loaded, views=views)
