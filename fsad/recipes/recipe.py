"""What a recipe is: a network, how it is trained, and how its references are used."""

import dataclasses
from collections.abc import Callable

import keras

from fsad import pairs
from fsad.augment import MIRRORS


@dataclasses.dataclass
class Recipe:
    """A network, how it is trained and how it is compared with references. Fields mean the same for every recipe.

    The network: ``model``, the two-input model; ``weights``, what its backbone started from (as `fsad.backbones.build`
    returns it).

    Training, by `fsad.training.fit`: ``pairing``, which images meet (`fsad.pairs`); None for a network that is not
    trained and needs no defective images; ``augment``, images -> c images of each, of which the a-th meets the a-th;
    ``loss`` and ``optimizer``; ``batching`` (a key of `fsad.pairs.BATCHINGS`) and ``batch_size``, pairs or images;
    ``epochs``; ``patience``, epochs without a better loss on pairs held out, where there are any, and ``halve_after``,
    after how many of those the learning rate is halved (0: never); ``branch``, a second embedding from the attention's
    hidden features, with ``branch_loss`` and ``branch_weight``, the loss of its distances and its weight; ``start``:
    called as ``start(recipe, embed, index, pair_labels)`` before the first step, to set what depends on the distances
    there are, where ``embed`` maps rows of the images to a list of their embeddings, that of the branch second.

    Without training: ``adapt``, called as ``adapt(model, images)`` with good images before anything is embedded; and
    ``fuse``, called as ``fuse(good, defective, groups)`` with held-out distances, which returns held-out scores.

    References: ``references``, labels -> rows of the training images that are; ``views``, images -> images, by which
    each is taken in turn; the first leaves it as it is; ``max_patches``, how many of their patches are kept
    (`fsad.scoring.thinned`); ``reduction`` of the dissimilarities to the score
    (`fsad.scoring.compare`).
    """

    name: str
    model: keras.Model
    weights: str
    pairing: Callable | None = None
    augment: Callable | None = None
    loss: keras.losses.Loss | None = None
    optimizer: keras.optimizers.Optimizer | None = None
    batching: str = "pairs"
    batch_size: int = 16
    epochs: int = 0
    patience: int = 0
    halve_after: int = 0
    branch: keras.Model | None = None
    branch_loss: keras.losses.Loss | None = None
    branch_weight: float = 0.0
    start: Callable | None = None
    adapt: Callable | None = None
    fuse: Callable | None = None
    references: Callable = pairs.good
    views: tuple = MIRRORS[:1]
    max_patches: int | None = None
    reduction: str = "mean"

    @property
    def side(self) -> int:
        """Side of the images that a network of square ones takes, in pixels."""
        return self.size[0]

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the images the network takes, in pixels."""
        return tuple(self.model.input_shape[0][1:3])

    @property
    def trained(self) -> bool:
        return self.pairing is not None


def thaw(backbone, loaded):
    """Lets every layer of a backbone learn, except batch normalization that has statistics already: those of the few
    images of a step are no match for them."""
    backbone.trainable = True
    for layer in backbone.layers:
        layer.trainable = loaded == "random" or not isinstance(layer, keras.layers.BatchNormalization)
