"""Livieris et al. (2023): explainable image similarity, images of one class against those of another."""

import keras
import numpy as np
from keras import layers

from fsad import backbones, losses, pairs, siamese
from fsad.optimizers import FusedAdam
from fsad.recipes.recipe import Recipe, thaw

VARIANTS = ("text", "code")
MAX_PAIRS = 256  # whose distances before training set where the sigmoid unit starts


def build(
    backbone="resnet50",
    weights="imagenet",
    variant="text",
    frozen=False,
    side=None,
    learning_rate=5e-6,
    batch_size=4,
    epochs=100,
    patience=None,
):
    """The recipe of paper L.

    ResNet50, global average pooling, 256 ReLU units, Euclidean distance, one sigmoid unit; contrastive loss with
    margin 2 on that output; label 0 the same class, 1 different, as everywhere here; similarity is 1 minus it.

    The text and the public code differ. ``variant="text"`` is as above, 224 pixels. ``variant="code"``: two more
    units after the 256, the Euclidean distance clipped at 1 in place of the sigmoid unit, 320 pixels, gradients
    clipped to norm 1 all together, patience 25, the learning rate halved after 15 epochs without gain. Learning rate,
    batch size and epochs are not in the text; the defaults are the code's. (What the code watches is its AUC, and it
    takes a rising one as worse; here it is the validation loss.)

    The sigmoid unit starts where the distances before training are: 0.5 at their median, spread 1 before the
    sigmoid. Started anywhere else it is saturated, and learns little at first. Its one weight is not negative
    (`fsad.siamese.distance_head`), which the paper does not say: a random sign would make the output a similarity in
    half of all trainings, and the loss could turn it only through zero.

    Args:
        backbone, weights: as in `fsad.backbones.build`.
        variant: ``"text"`` or ``"code"``.
        frozen: train the layers after the backbone only, on features computed once: the fast mode, not the paper's.
        side, learning_rate, batch_size (pairs), epochs: as the names say.
        patience: epochs without a lower validation loss; 25 if None in the variant ``"code"``, 10 in the other, which
            states none.
    """
    if variant not in VARIANTS:
        raise ValueError(f"Expected a variant among {', '.join(VARIANTS)}. Received: {variant!r}")
    code = variant == "code"
    body, loaded = backbones.build(backbone, weights, side or (320 if code else 224))
    if frozen:
        body.trainable = False
    else:
        thaw(body, loaded)
    maps = keras.Input(body.output_shape[1:], name="maps")
    # A distance that starts beyond the clip learns nothing; the public code starts small, as its library does.
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
        pairing=pairs.class_pairs,
        loss=losses.ContrastiveLoss(margin=2.0),
        optimizer=FusedAdam(learning_rate, global_clipnorm=1.0 if code else None),
        batching="anchors",
        batch_size=batch_size,
        epochs=epochs,
        patience=patience or (25 if code else 10),
        halve_after=15 if code else 0,
        start=None if code else _centre,
        reduction="min",
    )


def _centre(recipe, embed, index, pair_labels):
    """Starts the sigmoid unit at the distances of some pairs: 0.5 at their median, spread 1 before the sigmoid."""
    some = index[:: -(-len(index) // MAX_PAIRS)]
    rows, local = np.unique(some, return_inverse=True)
    first, second = embed(rows)[0][local.reshape(-1, 2)].transpose(1, 0, 2)
    distances = np.linalg.norm(first - second, axis=1)
    middle = float(np.median(distances))
    if middle > 0:  # else all embeddings coincide
        scale = 1 / max(float(distances.std()), 0.01 * middle)
        unit = siamese.parts(recipe.model).distance.get_layer("dissimilarity")
        unit.set_weights([np.array([[scale]]), np.array([-scale * middle])])
