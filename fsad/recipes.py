"""Each paper as one short function that reads like its method section."""

import dataclasses
from collections.abc import Callable

import keras
from keras import layers

from fsad import augment, backbones, pairs, siamese


@dataclasses.dataclass
class Recipe:
    """Everything `fsad.training.fit` needs to know.

    ``model``: the two-picture model; ``weights``: what its backbone started from; ``side``: picture side
    in pixels; ``augment``: pictures -> pictures; ``pair``: number of augmented pictures a role -> index
    pairs and labels; then how to train.
    """

    name: str
    model: keras.Model
    weights: str
    side: int
    augment: Callable
    pair: Callable
    learning_rate: float
    batch_size: int
    epochs: int


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
