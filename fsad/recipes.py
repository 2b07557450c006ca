"""Each paper, and what we add, as one short function that reads like a method section."""

import dataclasses
from collections.abc import Callable

import keras
from keras import layers

from fsad import augment, backbones, pairs, siamese


@dataclasses.dataclass
class Recipe:
    """A network and how it is trained.

    ``model``: the two-picture model; ``weights``: what its backbone started from; ``side``: picture side
    in pixels; ``reduction``: dissimilarities to the references -> score (`fsad.scoring.reduce`; without
    meaning for maps of patches). The rest is for `fsad.training.fit`: ``augment``: pictures -> pictures;
    ``pair``: number of augmented pictures a role -> index pairs and labels; and how long. A recipe without
    ``pair`` is not trained and needs no defective pictures.
    """

    name: str
    model: keras.Model
    weights: str
    side: int
    reduction: str = "mean"
    augment: Callable | None = None
    pair: Callable | None = None
    learning_rate: float = 0.0
    batch_size: int = 0
    epochs: int = 0


def senarathna(backbone="custom_cnn", weights="imagenet", distance="l1", side=None, epochs=30):
    """Senarathna and Wijesinghe (2025): a light CNN, the L1 DistanceLayer, one sigmoid unit.

    A picture is embedded by the backbone, flattened, and one dense layer of 4096 sigmoid units. Eight
    anchors, eight good and eight defective pictures become 64 each by seven augmentations; each good
    and each defective one is paired with an anchor: 128 pairs. Binary cross-entropy.

    The paper outputs a similarity (label 1 = similar); ours is 1 minus that, which by the symmetry of
    the sigmoid and of cross-entropy is the same training. Optimiser, learning rate, batch size and
    epochs are not in the paper: Adam at 1e-4 and 16 pairs are usual for this network.
    """
    body, loaded = backbones.build(backbone, weights, side)
    features = keras.Input(body.output_shape[1:], name="features")
    embedding = layers.Dense(4096, activation="sigmoid", name="embedding")(layers.Flatten()(features))
    neck = keras.Model(features, embedding, name="neck")
    model = siamese.build(body, neck, siamese.distance_head(4096, distance))
    return Recipe(
        name="senarathna",
        model=model,
        weights=loaded,
        side=body.input_shape[1],
        augment=augment.expand,
        pair=pairs.senarathna,
        learning_rate=1e-4,
        batch_size=16,
        epochs=epochs,
    )


def patches(backbone="mobilenet", weights="imagenet", layer=None, side=320, share=0.05):
    """Nearest reference patch: every patch of a picture asks how near the nearest patch of any reference is.

    A frozen backbone cut at a middle layer, the neck scales each patch's features to unit length, and the
    distance is `fsad.layers.NearestPatch`. Nothing is trained. After PatchCore (Roth et al. 2022), as a
    Siamese comparison; without its coreset and its neighbourhood averaging, which did not help here.

    Args:
        backbone, weights: as in `fsad.backbones.build`. Random features tell nothing: where ImageNet
            weights are not reached, the backbone is the filter bank instead, with a warning.
        layer: where the backbone is cut: features of stride 16, half way between edges and objects;
            `PATCH_LAYERS` if None.
        side: input side in pixels.
        share: share of the farthest patches that make the score.
    """
    if side < 32:
        raise ValueError(f"Expected a side of at least 32 pixels: a patch is 16. Received: {side}")
    if backbone not in PATCH_LAYERS and layer is None:
        raise ValueError(f"Expected a backbone of {', '.join(PATCH_LAYERS)}, or a layer. Received: {backbone!r}")
    if weights == "imagenet" and backbones.source(backbone, weights) == "unreachable":
        backbone, layer = "filter_bank", None
    body, loaded = backbones.build(backbone, weights, side, layer or PATCH_LAYERS[backbone])
    if weights == "imagenet" and loaded == "random":  # the download failed half way
        body, loaded = backbones.build("filter_bank", side=side)
    body.trainable = False
    maps = keras.Input(body.output_shape[1:], name="maps")
    neck = keras.Model(maps, layers.UnitNormalization(axis=-1, name="unit")(maps), name="neck")
    distance = siamese.patch_distance(neck.output_shape[1:], share)
    return Recipe("patches", siamese.build(body, neck, distance), loaded, side)


PATCH_LAYERS = {
    "filter_bank": None,
    "mobilenet": "conv_pw_11_relu",
    "mobilenet_v2": "block_12_add",
    "vgg16": "block4_conv3",
    "vgg19": "block4_conv4",
    "resnet50": "conv4_block6_out",
    "inception_v3": "mixed7",
}

RECIPES = {"patches": patches, "senarathna": senarathna}
