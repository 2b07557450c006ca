"""The explanation methods by name, all on one interface: `explain`."""

import inspect

import numpy as np

NEEDS = {"patches": "compares patches", "attention": "has an attention mechanism"}
NAMES = (
    "patches",
    "attention",
    "saliency",
    "gradcam",
    "smoothgrad",
    "integrated_gradients",
    "gradcam++",
    "xgradcam",
    "layercam",
    "scorecam",
    "occlusion",
    "lime",
    "sinex",
    "sinexc",
)
GENERAL = tuple(name for name in NAMES if name not in NEEDS)  # those of every network

RELATIVE = ("sinex", "sinexc")  # only the order of their values counts


def explain(comparer, images, references, target="different", method="saliency", **options):
    """Maps of what raises a target, by any method.

    Args:
        comparer: a `fsad.explain.comparer.Comparer`: what compares.
        images: uint8 RGB ``(n, H, W, 3)`` of its size.
        references: `fsad.explain.comparer.References`: what they are compared with.
        target: as in `fsad.explain.comparer`: ``"different"``, ``"same"``, or a function.
        method: one of `NAMES`, or a function ``(comparer, images, references, target, **options)`` of your own.
        options: of the method's own function.

    Returns:
        float32 ``(n, h, w)``, at the resolution of the method. A higher value speaks for the target; a negative one,
        which some methods have, against it. Units are the method's: only within a map do values compare.

    Raises:
        ValueError: no such method, one that this network does not have, or an option that it does not know.
    """
    if callable(method):
        return np.asarray(method(comparer, images, references, target, **options), np.float32)
    function, fixed = _function(method)
    if method in NEEDS and method not in available(comparer.model):
        raise ValueError(f"Expected a network that {NEEDS[method]} for {method}. Received: another")
    known = [*inspect.signature(function).parameters][4:]
    if unknown := [name for name in options if name not in known or name in fixed]:
        raise ValueError(f"Expected options of {method} among {', '.join(known)}. Received: {', '.join(unknown)}")
    return function(comparer, images, references, target, **fixed, **options)


def available(model):
    """Names of the methods a two-input model has, what is part of its comparison first."""
    from fsad import siamese
    from fsad.explain import attention

    patches = siamese.distance_layer(model)[0].gives_map
    has = {"patches": patches, "attention": not patches and attention.has_attention(model)}
    return tuple(name for name in NAMES if has.get(name, True))


def of(fitted):
    """``(comparer, references)`` of a `fsad.fitted.Fitted`."""
    from fsad.augment import VIEWS
    from fsad.explain.comparer import Comparer, References

    views = {len(views): views for views in VIEWS.values()}
    return (
        Comparer(fitted.model, fitted.reduction, views[fitted.views]),
        References(fitted.reference_images, fitted.references, fitted.places),
    )


def anomaly_map(fitted, method, image):
    """The anomaly map of one image by a method.

    Args:
        fitted: a `fsad.fitted.Fitted`.
        method: one of `available`.
        image: uint8 RGB ``(height, width, 3)`` of the network's size.
    """
    comparer, references = of(fitted)
    return explain(comparer, image[None], references, method=method)[0]


def shown(method, one):
    """A map as it is displayed, >= 0: its positive part, or by how much it exceeds its least value (`RELATIVE`)."""
    return np.maximum(one - one.min() if method in RELATIVE else one, 0)


def _function(method):
    """``(function, arguments)`` of a method, imported when it is asked for: names alone need no TensorFlow."""
    from fsad.explain import (
        attention,
        cams,
        integrated_gradients,
        lime,
        occlusion,
        patches,
        saliency,
        sinex,
        smoothgrad,
    )

    if method in cams.BY_GRADIENT:
        return cams.maps, {"method": method}
    functions = {
        "patches": patches.maps,
        "attention": attention.maps,
        "saliency": saliency.maps,
        "smoothgrad": smoothgrad.maps,
        "integrated_gradients": integrated_gradients.maps,
        "scorecam": cams.scorecam_maps,
        "occlusion": occlusion.maps,
        "lime": lime.maps,
        "sinex": sinex.maps,
        "sinexc": sinex.coalition_maps,
    }
    if method not in functions:
        raise ValueError(f"Expected a method among {', '.join(NAMES)}. Received: {method!r}")
    return functions[method], {}
