"""Each paper, and what we add, as one short function that reads like a method section."""

import dataclasses
from collections.abc import Callable

import keras
from keras import layers

from fsad import attention, augment, backbones, losses, pairs, siamese
from fsad.augment import MIRRORS


@dataclasses.dataclass
class Recipe:
    """A network and how it is trained.

    ``model``: the two-picture model; ``weights``: what its backbone started from; ``side``: picture side
    in pixels; ``reduction``: dissimilarities to the references -> score (`fsad.scoring.reduce`; without
    meaning for maps of patches). The rest is for `fsad.training.fit`: ``augment``: pictures -> pictures;
    ``pair``: number of augmented pictures a role -> index pairs and labels; and how long.

    A recipe with ``loss`` is trained on all pairs of its pictures instead (`fsad.training.fit_all_pairs`), and
    so is its ``branch``, if it has one, with ``branch_weight``; ``margin_from_data``, if not 0, times the
    median distance of different pairs before training becomes the margin of the loss. That of `livieris` is
    trained on pairs that are given (`fsad.training.fit_pairs`), with gradients clipped to ``clip_norm``, until
    ``patience`` epochs in a row have not bettered the loss on pairs held out. A recipe with neither ``pair``
    nor ``loss`` is not trained and needs no defective pictures. ``views``: pictures -> pictures, by which each
    reference is taken in turn; the first leaves it as it is.
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
    loss: keras.losses.Loss | None = None
    branch: keras.Model | None = None
    branch_weight: float = 0.0
    margin_from_data: float = 0.0
    clip_norm: float | None = None
    patience: int = 0
    views: tuple = MIRRORS[:1]

    @property
    def trained(self):
        return self.pair is not None or self.loss is not None


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


def takimoto(
    backbone="vgg16",
    weights="imagenet",
    position=13,
    branch_weight=1.0,
    loss="contrastive",
    margin=None,
    margin_factor=2.0,
    alpha=4.0,
    beta=1.0,
    side=None,
    learning_rate=1e-5,
    epochs=100,
):
    """Takimoto et al. (2022): deep metric learning with an attention mechanism and an attention branch.

    The convolutions of the backbone, global average pooling to *output-1* (512 numbers for VGG16), Euclidean
    distance. The attention mechanism stands behind the ``position``-th convolution; the branch gives
    *output-2*, of 2 numbers. L = L(output-1) + w L(output-2) (equation 3), on all pairs of the training
    set. Judged by output-1 (`fsad.scoring.nearest_class`, `centroid`). Adam at 1e-5, 100 epochs.

    Args:
        backbone, weights: as in `fsad.backbones.build`; every layer is trained.
        position: 2, 4, 7, 10 or 13, the last convolution of each block of VGG16 (of other backbones: the
            last layer at that resolution, `POSITIONS`); the name of a layer; or None, no attention (method I).
        branch_weight: w of equation 3 for method III (1.0 or 1.5 in the paper); 0: no branch (method II).
        loss: ``"contrastive"`` or ``"pair_balanced"``.
        margin: m of equations 1 and 4. The paper gives none. None: ``margin_factor`` times the median distance
            of different pairs before training, measured at the start of `fsad.training.fit_all_pairs`. With 2
            most of them begin inside it and are pushed; the AUC hardly depends on it, but only from 2 on did the
            attention map find the defects (``experiments/study_margin.py``).
        alpha, beta: of the pair-balanced loss.
        side, learning_rate, epochs: 224 pixels, 1e-5 and 100 in the paper.
    """
    if loss not in LOSSES:
        raise ValueError(f"Expected a loss among {', '.join(LOSSES)}. Received: {loss!r}")
    if branch_weight and position is None:
        raise ValueError("Expected a position for the attention that the branch is part of. Received: None")
    body, loaded = backbones.build(backbone, weights, side, LAST.get(backbone))
    _thaw(body, loaded)
    branch = None
    layer = place(backbone, position)
    if layer is not None:
        body = attention.insert(body, layer)
        branch = attention.branch(body.get_layer(attention.HIDDEN).output.shape[1:]) if branch_weight else None
    maps = keras.Input(body.output_shape[1:], name="maps")
    neck = keras.Model(maps, layers.GlobalAveragePooling2D(name="output_1", dtype="float32")(maps), name="neck")
    options = {"alpha": alpha, "beta": beta} if loss == "pair_balanced" else {}
    return Recipe(
        name="takimoto",
        model=siamese.build(body, neck, siamese.bare_distance(neck.output_shape[-1])),
        weights=loaded,
        side=body.input_shape[1],
        reduction="min",
        learning_rate=learning_rate,
        epochs=epochs,
        loss=LOSSES[loss](**({} if margin is None else {"margin": margin}), **options),
        branch=branch,
        branch_weight=branch_weight if branch is not None else 0.0,
        margin_from_data=margin_factor if margin is None else 0.0,
    )


def _thaw(body, loaded):
    """Lets every layer of a backbone learn, but batch normalisation with the statistics of ImageNet: those of the
    few pictures of a step are no match for them."""
    body.trainable = True
    for layer in body.layers:
        layer.trainable = not (loaded == "imagenet" and isinstance(layer, layers.BatchNormalization))


def livieris(
    backbone="resnet50",
    weights="imagenet",
    variant="text",
    frozen=False,
    side=None,
    learning_rate=5e-6,
    batch_size=4,
    epochs=100,
    patience=10,
):
    """Livieris et al. (2023): explainable image similarity, pictures of one class against those of another.

    ResNet50, global average pooling, 256 ReLU units, Euclidean distance, one sigmoid unit; contrastive loss with
    margin 2 on that output; label 0 the same class, 1 different, as everywhere here; similarity is 1 minus it.

    The text and the public code differ. ``variant="text"`` is as above, 224 pixels. ``variant="code"``: two more
    units after the 256, the Euclidean distance cut off at 1 in place of the sigmoid unit, 320 pixels, gradients
    clipped to norm 1 all together. Learning rate, batch size and epochs are not in the text; the defaults are the
    code's. The sigmoid unit starts where the distances before training are (`fsad.training.fit_pairs`): started
    anywhere else it is saturated, and learns little at first.

    Args:
        backbone, weights: as in `fsad.backbones.build`.
        variant: ``"text"`` or ``"code"``.
        frozen: train the layers after the backbone only, on features computed once: the fast mode, not the paper's.
        side, learning_rate, batch_size (pairs), epochs, patience: as the names say.
    """
    if variant not in ("text", "code"):
        raise ValueError(f"Expected variant 'text' or 'code'. Received: {variant!r}")
    code = variant == "code"
    body, loaded = backbones.build(backbone, weights, side or (320 if code else 224))
    if frozen:
        body.trainable = False
    else:
        _thaw(body, loaded)
    maps = keras.Input(body.output_shape[1:], name="maps")
    # A distance that starts beyond the cut-off learns nothing; the public code starts small, as its library does.
    small = {"kernel_initializer": keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")} if code else {}
    embedding = layers.Dense(256, activation="relu", name="embedding", **small)(layers.GlobalAveragePooling2D()(maps))
    if code:
        embedding = layers.Dense(2, name="plane", **small)(embedding)
    neck = keras.Model(maps, embedding, name="neck")
    distance = siamese.clipped_distance(2) if code else siamese.distance_head(256, "euclidean")
    return Recipe(
        name="livieris",
        model=siamese.build(body, neck, distance),
        weights=loaded,
        side=body.input_shape[1],
        reduction="min",
        learning_rate=learning_rate,
        batch_size=batch_size,
        epochs=epochs,
        loss=losses.ContrastiveLoss(margin=2.0),
        clip_norm=1.0 if code else None,
        patience=patience,
    )


def place(backbone, position):
    """The layer behind which the attention stands: a number of `POSITIONS` looked up, anything else as it is."""
    if not isinstance(position, int):
        return position
    if position not in POSITIONS.get(backbone, {}):
        known = ", ".join(POSITIONS)
        raise ValueError(
            f"Expected a position among {POSITION_NUMBERS} of {known}, or a layer. Received: {position} of {backbone}"
        )
    return POSITIONS[backbone][position]


LOSSES = {"contrastive": losses.ContrastiveLoss, "pair_balanced": losses.PairBalancedContrastiveLoss}
LAST = {"vgg16": "block5_conv3"}  # the paper pools the last convolution
POSITION_NUMBERS = (2, 4, 7, 10, 13)
POSITIONS = {
    "vgg16": dict(
        zip(
            POSITION_NUMBERS,
            ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"),
            strict=True,
        )
    ),
    "mobilenet": dict(zip(POSITION_NUMBERS, (f"conv_pw_{n}_relu" for n in (1, 3, 5, 11, 13)), strict=True)),
}


def patches(backbone="mobilenet", weights="imagenet", layer=None, side=320, share=0.03, window=None, mirrored=None):
    """Nearest reference patch: every patch of a picture asks how near the nearest patch of any reference is.

    A frozen backbone cut at a middle layer, the neck averages the features over windows of 2 x 2 cells and scales
    them to unit length, and the distance is `fsad.layers.NearestPatch`. References are also taken as seen in a
    mirror, which shows more of what a good part may look like. Nothing is trained. After PatchCore (Roth et al.
    2022), as a Siamese comparison. ``experiments/study_few.py`` shows what each piece is worth.

    Args:
        backbone, weights: as in `fsad.backbones.build`. Random features tell nothing: where ImageNet
            weights are not reached, the backbone is the filter bank instead, with a warning.
        layer: where the backbone is cut: features of stride 16, half way between edges and objects;
            `PATCH_LAYERS` if None.
        side: input side in pixels.
        share: share of the farthest patches that make the score.
        window: cells a side to average over, 1 or 2. None: 2, but 1 for the filter bank, which averages by itself.
        mirrored: whether references are taken mirrored left to right, top to bottom, and both, too. None: yes, but
            not for the filter bank, which it does not help.
    """
    if side < 32:
        raise ValueError(f"Expected a side of at least 32 pixels: a patch is 16. Received: {side}")
    if backbone not in PATCH_LAYERS and layer is None:
        raise ValueError(f"Expected a backbone of {', '.join(PATCH_LAYERS)}, or a layer. Received: {backbone!r}")
    if weights == "imagenet" and backbones.source(backbone, weights) == "unreachable":
        backbone, layer = "filter_bank", None
    body, loaded = backbones.build(backbone, weights, side, layer or PATCH_LAYERS[backbone])
    if weights == "imagenet" and loaded == "random":  # the download failed half way
        backbone, (body, loaded) = "filter_bank", backbones.build("filter_bank", side=side)
    body.trainable = False
    network = backbone != "filter_bank"
    window = window or (2 if network else 1)
    maps = keras.Input(body.output_shape[1:], name="maps")
    averaged = layers.AveragePooling2D(window, strides=1, name="window")(maps) if window > 1 else maps
    neck = keras.Model(maps, layers.UnitNormalization(axis=-1, name="unit")(averaged), name="neck")
    distance = siamese.patch_distance(neck.output_shape[1:], share, window)
    views = MIRRORS if (network if mirrored is None else mirrored) else MIRRORS[:1]
    return Recipe("patches", siamese.build(body, neck, distance), loaded, side, views=views)


PATCH_LAYERS = {
    "filter_bank": None,
    "mobilenet": "conv_pw_9_relu",
    "mobilenet_v2": "block_12_add",
    "vgg16": "block4_conv3",
    "vgg19": "block4_conv4",
    "resnet50": "conv4_block6_out",
    "inception_v3": "mixed7",
}

RECIPES = {"patches": patches, "senarathna": senarathna, "takimoto": takimoto}
