"""Takimoto et al. (2022): deep metric learning with an attention mechanism and an attention branch."""

import functools

import keras
import numpy as np
from keras import layers

from fsad import attention, backbones, losses, pairs, siamese
from fsad.optimizers import FusedAdam
from fsad.recipes.recipe import Recipe, thaw

LOSSES = ("contrastive", "pair_balanced")
BATCH_SIZES = {"pairs": 16, "images": 40}


def build(
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
    batching="images",
    batch_size=None,
):
    """The recipe of paper T.

    The convolutions of the backbone, global average pooling to *output-1* (512 numbers for VGG16), Euclidean
    distance. The attention mechanism stands behind the ``position``-th convolution; the branch gives
    *output-2*, of 2 numbers. L = L(output-1) + w L(output-2) (equation 3), on all pairs of the training
    set. Judged by output-1. Adam at 1e-5, 100 epochs.

    Args:
        backbone, weights: as in `fsad.backbones.build`; every layer is trained.
        position: 2, 4, 7, 10 or 13, the last convolution of each block of VGG16 (of other backbones: the last layer at
            that resolution, `fsad.backbones.Spec`); the name of a layer; or None, no attention (method I).
        branch_weight: w of equation 3 for method III (1.0 or 1.5 in the paper); 0: no branch (method II).
        loss: ``"contrastive"`` or ``"pair_balanced"``.
        margin: m of equations 1 and 4. The paper gives none. None: ``margin_factor`` times the median distance
            of different pairs before training. With 2
            most of them begin inside it and are pushed; the AUC hardly depends on it, but only from 2 on did the
            attention map find the defects (``experiments/ablations/margin.py``).
        alpha, beta: of the pair-balanced loss.
        side, learning_rate, epochs: 224 pixels, 1e-5 and 100 in the paper.
        batching: ``"pairs"``, the paper's, or ``"images"`` (`fsad.pairs.by_images`), each pair once per epoch in both.
        batch_size: pairs or images per step; 16, the paper's, or 40 if None.
    """
    if loss not in LOSSES:
        raise ValueError(f"Expected a loss among {', '.join(LOSSES)}. Received: {loss!r}")
    if batching not in BATCH_SIZES:
        raise ValueError(f"Expected a batching among {', '.join(BATCH_SIZES)}. Received: {batching!r}")
    if branch_weight and position is None:
        raise ValueError("Expected a position for the attention that the branch is part of. Received: None")
    body, loaded = backbones.build(backbone, weights, side, backbones.spec_of(backbone).last_layer)
    thaw(body, loaded)
    branch = None
    layer = backbones.attention_layer(backbone, position)
    if layer is not None:
        body = attention.insert(body, layer)
        branch = attention.branch(body.get_layer(attention.HIDDEN).output.shape[1:]) if branch_weight else None
    maps = keras.Input(body.output_shape[1:], name="maps")
    neck = keras.Model(maps, layers.GlobalAveragePooling2D(name="output_1", dtype="float32")(maps), name="neck")
    known_margin = {} if margin is None else {"margin": margin}
    if loss == "pair_balanced":
        pairing = pairs.all_pairs_with_normal
        criterion = losses.PairBalancedContrastiveLoss(alpha=alpha, beta=beta, **known_margin)
    else:
        pairing, criterion = pairs.all_pairs, losses.ContrastiveLoss(**known_margin)
    return Recipe(
        name="takimoto",
        model=siamese.build(body, neck, siamese.bare_distance(neck.output_shape[-1])),
        weights=loaded,
        pairing=pairing,
        loss=criterion,
        optimizer=FusedAdam(learning_rate),
        batching=batching,
        batch_size=batch_size or BATCH_SIZES[batching],
        epochs=epochs,
        branch=branch,
        branch_weight=branch_weight if branch is not None else 0.0,
        start=functools.partial(_set_margin, margin_factor) if margin is None else None,
        reduction="min",
    )


def _set_margin(factor, recipe, embed, index, pair_labels):
    """The margin is ``factor`` times the median distance of output-1 over the pairs of normal and abnormal images."""
    embeddings = embed(np.arange(index.max() + 1))
    first, second = embeddings[index[pair_labels[:, 0] == 1]].transpose(1, 0, 2)
    recipe.loss.margin = factor * float(np.median(np.linalg.norm(first - second, axis=-1)))
