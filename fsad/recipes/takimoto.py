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
    branch_margin=None,
    margin_factor=2.0,
    residual=False,
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

    What the text lacks: the margin m; whether pre-trained weights are used (ImageNet is the plausible reading); figures
    2 and 3, so whether the map M passes on M F or (1 + M) F (``residual``) and where exactly the branch leaves; which
    layer "convolution (5-4)" is (VGG16 has 13 convolutions; the last, (5-3), is taken here); and what became of 8, 8, 4
    and 4 defective images of capsule, screw, carpet and tile, those of MVTec AD less 40 for training less the printed
    test counts: possibly validation, of which the text says nothing, so there is none here.

    Args:
        backbone, weights: as in `fsad.backbones.build`; every layer is trained.
        position: 2, 4, 7, 10 or 13, the last convolution of each block of VGG16 (of other backbones: the last layer at
            that resolution, `fsad.backbones.Spec`); the name of a layer; or None, no attention (method I).
        branch_weight: w of equation 3 for method III (1.0 or 1.5 in the paper); 0: no branch (method II).
        loss: ``"contrastive"`` or ``"pair_balanced"``.
        margin, branch_margin: m of equations 1 and 4, of output-1 and of output-2. The paper gives none. None:
            ``margin_factor`` times the median distance of different pairs before training, measured on the output it is
            for, since the two live on different scales. With 2 most pairs begin inside it and are pushed
            (``experiments/ablations/margin.py``).
        residual: pass on (1 + M) F in place of M F; see `fsad.attention.insert`.
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
        body = attention.insert(body, layer, residual)
        branch = attention.branch(body.get_layer(attention.HIDDEN).output.shape[1:]) if branch_weight else None
    maps = keras.Input(body.output_shape[1:], name="maps")
    neck = keras.Model(maps, layers.GlobalAveragePooling2D(name="output_1", dtype="float32")(maps), name="neck")
    pairing = pairs.all_pairs_with_normal if loss == "pair_balanced" else pairs.all_pairs

    def criterion(given):
        options = {} if given is None else {"margin": given}
        if loss == "pair_balanced":
            return losses.PairBalancedContrastiveLoss(alpha=alpha, beta=beta, **options)
        return losses.ContrastiveLoss(**options)

    given = (margin, branch_margin)
    return Recipe(
        name="takimoto",
        model=siamese.build(body, neck, siamese.bare_distance(neck.output_shape[-1])),
        weights=loaded,
        pairing=pairing,
        loss=criterion(margin),
        optimizer=FusedAdam(learning_rate),
        batching=batching,
        batch_size=batch_size or BATCH_SIZES[batching],
        epochs=epochs,
        branch=branch,
        branch_loss=criterion(branch_margin) if branch is not None else None,
        branch_weight=branch_weight if branch is not None else 0.0,
        start=functools.partial(_set_margins, margin_factor, given) if None in given else None,
        reduction="min",
    )


def _set_margins(factor, given, recipe, embed, index, pair_labels):
    """A margin that is not given is ``factor`` times the median distance, of the output whose loss it belongs to, over
    the pairs of normal and abnormal images."""
    different = index[pair_labels[:, 0] == 1]
    criteria = (recipe.loss, recipe.branch_loss)
    for embeddings, criterion, margin in zip(embed(np.arange(index.max() + 1)), criteria, given, strict=False):
        if margin is None:
            first, second = embeddings[different].transpose(1, 0, 2)
            criterion.margin = factor * float(np.median(np.linalg.norm(first - second, axis=-1)))
