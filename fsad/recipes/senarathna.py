"""Senarathna and Wijesinghe (2025): a light CNN, the L1 DistanceLayer, one sigmoid unit."""

import keras
from keras import layers

from fsad import augment, backbones, pairs, siamese
from fsad.optimizers import FusedAdam
from fsad.recipes.recipe import Recipe

PAIRINGS = {"kth": pairs.anchor_pairs, "all": pairs.all_anchor_pairs}


def build(
    backbone="custom_cnn", weights="imagenet", distance="l1", side=None, epochs=30, pairing="kth", learning_rate=1e-4
):
    """The recipe of paper S.

    An image is embedded by the backbone, flattened, and one dense layer of 4096 sigmoid units. Eight
    anchors, eight good and eight defective images become 64 each by seven augmentations; each good
    and each defective one is paired with an anchor: 128 pairs, or, with ``pairing="all"``, 1024. Binary cross-entropy.

    The paper outputs a similarity (label 1 = similar); ours is 1 minus that, which by the symmetry of
    the sigmoid and of cross-entropy is the same training. Optimiser, learning rate, batch size and
    epochs are not in the paper: Adam at 1e-4 and 16 pairs are usual for this network.

    Args:
        backbone, weights, side: as in `fsad.backbones.build`.
        distance: ``"l1"``, ``"euclidean"``, ``"cosine"`` or ``"learnable"`` (`fsad.siamese.distance_head`).
        epochs, learning_rate: of training.
        pairing: ``"kth"``, the k-th anchor with the k-th of the others, or ``"all"``, each anchor with each of them;
            the paper does not say which.
    """
    if pairing not in PAIRINGS:
        raise ValueError(f"Expected a pairing among {', '.join(PAIRINGS)}. Received: {pairing!r}")
    body, loaded = backbones.build(backbone, weights, side)
    features = keras.Input(body.output_shape[1:], name="features")
    embedding = layers.Dense(4096, activation="sigmoid", name="embedding")(layers.Flatten()(features))
    neck = keras.Model(features, embedding, name="neck")
    return Recipe(
        name="senarathna",
        model=siamese.build(body, neck, siamese.distance_head(4096, distance)),
        weights=loaded,
        pairing=PAIRINGS[pairing],
        augment=augment.expand,
        loss=keras.losses.BinaryCrossentropy(),
        optimizer=FusedAdam(learning_rate),
        batching="anchors",
        batch_size=16,
        epochs=epochs,
        references=pairs.anchors,
        reduction="mean",
    )
