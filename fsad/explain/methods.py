"""The explanation methods by name: which a detector has, and the anomaly map that each gives."""

from fsad import siamese
from fsad.explain import attention, gradcam, saliency


def available(model):
    """Names of the methods a two-input model has, the best for it first."""
    if siamese.distance_layer(model)[0].gives_map:
        return ("patches", "saliency", "gradcam")
    return (*(("attention",) if attention.has_attention(model) else ()), "saliency", "gradcam")


def anomaly_map(fitted, method, image):
    """The anomaly map of one image by any method but ``"patches"``, whose map comes with the score.

    Args:
        fitted: a `fsad.fitted.Fitted`.
        method: a name from `available`.
        image: uint8 RGB ``(side, side, 3)``.
    """
    if method == "attention":
        return attention.attention_maps(fitted.model, image[None])[0]
    maps = gradcam.score_maps if method == "gradcam" else saliency.saliency_maps
    return maps(fitted.model, image[None], fitted.references, reduction=fitted.reduction)[0]
