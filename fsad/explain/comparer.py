"""What is explained: the score of images against references, as one function for every method."""

import dataclasses
import weakref
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from fsad import scoring, siamese
from fsad.augment import MIRRORS
from fsad.images import batch_for
from fsad.layers import Comparison

BATCH = 32  # images, fewer if they are large
TARGETS = {"different": lambda comparison: comparison.score, "same": lambda comparison: -comparison.score}


class References(NamedTuple):
    """Reference images, uint8 ``(r, H, W, 3)``, and their embeddings ``(r v, ...)`` from
    `fsad.scoring.embed_references`; v is the number of views of each. Of patches, ``places`` ``(r v, p, 2)`` says where
    they lie; None: on a grid."""

    images: np.ndarray
    embeddings: np.ndarray
    places: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Comparer:
    """How images are compared with references: a two-input ``model``, of vectors or of patches, the ``reduction`` of
    its dissimilarities to the score (`fsad.scoring.compare`), and the ``views`` in which references are taken.

    A target is what is explained, by a name in `TARGETS` or as a function of a `fsad.layers.Comparison`, made of
    differentiable operations, with one value for each image: ``"different"`` is the score, ``"same"`` minus the score.
    """

    model: keras.Model
    reduction: str = "mean"
    views: tuple = MIRRORS[:1]

    def references(self, images):
        """`References` of images ``(r, H, W, 3)`` in [0, 255]."""
        return References(images, scoring.embed_references(self, images))

    def compare(self, images, references):
        """Images ``(B, H, W, 3)``, a float32 tensor -> a `fsad.layers.Comparison` that can be differentiated."""
        fields = self._compiled(images, tf.convert_to_tensor(references.embeddings, tf.float32))
        return Comparison(*fields)

    def values(self, images, references, target="different"):
        """Values ``(n,)`` of the target, numpy, of images ``(n, H, W, 3)``; batched."""
        of = target_of(target)
        return np.concatenate([np.asarray(of(self.compare(b, references))) for b in batches(images)])

    def gradients(self, images, references, target="different"):
        """Values ``(n,)`` of the target and their derivatives by the pixels ``(n, H, W, 3)``, numpy; batched."""
        of, values, gradients = target_of(target), [], []
        for batch in batches(images):
            with tf.GradientTape() as tape:
                tape.watch(batch)
                value = of(self.compare(batch, references))
            values.append(value.numpy())
            gradients.append(tape.gradient(value, batch).numpy())
        return np.concatenate(values), np.concatenate(gradients)

    def closest(self, images, references):
        """Number of the reference image that each image is least dissimilar to, ``(n,)``."""
        views = len(references.embeddings) // len(references.images)
        per_reference = [self.compare(batch, references).per_reference for batch in batches(images)]
        return np.concatenate([p.numpy() for p in per_reference]).argmin(1) // views

    def nearest(self, images, references):
        """That reference image itself, ``(n, H, W, 3)``."""
        return references.images[self.closest(images, references)]

    @property
    def _compiled(self):
        by_reduction = _functions.setdefault(self.model, {})
        if self.reduction not in by_reduction:
            by_reduction[self.reduction] = _compile(self.model, self.reduction)
        return by_reduction[self.reduction]


_functions = weakref.WeakKeyDictionary()  # models -> by reduction, how they compare; these do not refer to the model


def _compile(model, reduction):
    backbone, neck = siamese.compiled(model)
    layer, units = siamese.distance_layer(model)

    def compare(images, references):
        fields = layer.compare(neck(backbone(images)), references, units, reduction)
        return [field for field in fields if field is not None]

    return tf.function(compare, reduce_retracing=True, autograph=False)


def target_of(target):
    """The function of a target.

    Raises:
        ValueError: no such target.
    """
    if callable(target):
        return target
    if target not in TARGETS:
        raise ValueError(f"Expected a target among {', '.join(TARGETS)}, or a callable. Received: {target!r}")
    return TARGETS[target]


def batches(images):
    """Images ``(n, H, W, 3)`` as float32 tensors, up to `BATCH` at a time.

    Raises:
        ValueError: no image.
    """
    if not len(images):
        raise ValueError("Expected at least one image. Received: none")
    step = batch_for(images.shape[1:3], BATCH)
    for start in range(0, len(images), step):
        yield tf.convert_to_tensor(np.asarray(images[start : start + step], np.float32))
