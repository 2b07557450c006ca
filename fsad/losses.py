"""Losses of distances, one value per pair.

Labels are ``(P, 1)`` or ``(P, 2)`` and distances ``(P, 1)``, >= 0. Label 1 means different; Takimoto et al. (2022)
write Y = 1 for the same class instead.
"""

import keras
from keras import ops


def _checked(labels, distances, columns):
    if len(labels.shape) != 2 or labels.shape[1] != columns or tuple(distances.shape[1:]) != (1,):
        raise ValueError(  # unequal shapes would silently broadcast to (P, P)
            f"Expected labels of shape (P, {columns}) and distances of shape (P, 1). "
            f"Received: {tuple(labels.shape)} and {tuple(distances.shape)}"
        )
    return ops.cast(labels, distances.dtype)


@keras.saving.register_keras_serializable("fsad")
class ContrastiveLoss(keras.losses.Loss):
    """``{Y D^2 + (1 - Y) max(m - D, 0)^2} / 2`` with Y = 1 - label (Takimoto et al. 2022, equation 1).

    Args:
        margin: the m of the equation, > 0: the distance up to which different images are pushed apart. The
            paper states no value; see `fsad.recipes.takimoto`.
    """

    def __init__(self, margin=1.0, name="contrastive_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        if margin <= 0:
            raise ValueError(f"Expected a margin above 0. Received: {margin}")
        self.margin = margin

    def call(self, y_true, y_pred):
        different = _checked(y_true, y_pred, 1)
        push = ops.square(ops.maximum(self.margin - y_pred, 0))
        return ((1 - different) * ops.square(y_pred) + different * push) / 2

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("fsad")
class PairBalancedContrastiveLoss(ContrastiveLoss):
    """``{N Y D^2 + alpha (1 - N) Y D^2 + beta N (1 - Y) max(m - D, 0)^2} / 2`` (Takimoto et al. 2022, equation 4).

    N = 1 if at least one image of the pair is normal. So (normal, normal) pairs have weight 1, the rare (abnormal,
    abnormal) pairs ``alpha``, and (normal, abnormal) pairs ``beta``.

    Labels are ``(P, 2)``: different, and N.
    """

    def __init__(self, margin=1.0, alpha=4.0, beta=1.0, name="pair_balanced_contrastive_loss", **kwargs):
        super().__init__(margin=margin, name=name, **kwargs)
        if min(alpha, beta) < 0:
            raise ValueError(f"Expected alpha and beta of at least 0. Received: {alpha}, {beta}")
        self.alpha, self.beta = alpha, beta

    def call(self, y_true, y_pred):
        labels = _checked(y_true, y_pred, 2)
        different, normal = labels[:, :1], labels[:, 1:]
        pull, push = ops.square(y_pred), ops.square(ops.maximum(self.margin - y_pred, 0))
        same = 1 - different
        return (
            normal * same * pull + self.alpha * (1 - normal) * same * pull + self.beta * normal * different * push
        ) / 2

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}
