"""Nearest reference patch: every patch of an image asks how near the nearest patch of any reference is."""

import keras
import numpy as np

from fsad import backbones, fusion, siamese
from fsad import roi as regions_of_interest
from fsad.augment import VIEWS
from fsad.images import batch_for, size
from fsad.layers import SignedPower
from fsad.recipes.recipe import Recipe

SIDE = 320  # pixels: a patch is 16
BATCH = 8  # images at a time
# The settings of AnomalyDINO (Damm et al. 2025, and its code): its scores but for the logarithm, which keeps the order.
ANOMALY_DINO = {
    "backbone": "dinov2_small",
    "layers": ["block_12"],
    "window": 1,
    "power": 1,
    "components": None,
    "views": "rotated",
    "fractions": 0.01,
    "smoothing": 0,
    "usual": False,
    "weigh": False,
    "max_patches": None,
}


def default_side(backbone):
    """The side of a backbone's input in pixels, or ``(height, width)``, where none is given."""
    if isinstance(backbone, keras.Model) and None not in (own := backbone.input_shape[1:3]):
        return own
    spec = backbones.spec_of(backbone)
    return spec.side if spec.square else SIDE


def build(
    backbone="mobilenet",
    weights="imagenet",
    layers=None,
    side=None,
    window=None,
    power=0.5,
    components=128,
    views=None,
    fractions=(0.01, 0.03),
    smoothing=1.0,
    usual=True,
    weigh=True,
    tile=None,
    roi=None,
    max_patches=16384,
):
    """The default recipe of `fsad.Detector`, which trains no network.

    A frozen backbone gives features of several middle layers. The neck averages each layer's features over windows of
    2 x 2 cells, takes their square root, scales them to unit length and keeps their principal components. The distance
    is `fsad.nearest_patch.NearestPatch`, which fuses the layers. References are also taken as seen in a mirror, which
    shows more of what a good part may look like. After PatchCore (Roth et al. 2022), as a Siamese comparison.
    ``experiments/ablations/few.py`` shows what each piece is worth.

    Args:
        backbone, weights: as in `fsad.backbones.build`. Untrained random features are uninformative: without ImageNet
            weights, ``backbone="filter_bank"`` does better.
        layers: whose features are compared, names or strides, side by side on the grid of the first; the patch layers
            of its `fsad.backbones.Spec` if None, and the output of a Keras model of your own.
        side: input side in pixels, or ``(height, width)``; 320 if None, 448 for DINOv2, that of a Keras model which
            takes one size only.
        window: cells per side to average over, 1 or 2. None: 2, but 1 for the filter bank, which averages by itself.
        power: that magnitudes of features are raised to. Below 1 the few largest no longer decide alone what is alike;
            0.5 makes the cosine that of Hellinger.
        components: principal components of the good images' features that are kept of each layer, where it has more;
            None for all. Fewer are compared faster.
        views: how references are taken beside as they are: ``"mirrored"`` left to right, top to bottom and both;
            ``"rotated"`` in steps of 45 degrees; or ``"none"``. None: mirrored, but not for the filter bank, which it
            does not help, nor with tiles, where patches are many.
        fractions, smoothing, usual: as in `fsad.nearest_patch.NearestPatch`.
        tile: side in pixels of the tiles that score a large image, of which the most anomalous counts
            (`NearestPatch`); None or 0 for the image as a whole.
        roi: the region of interest, as `fsad.roi.encode` gives it; None: the whole image.
        max_patches: how many patches of all references are kept (`fsad.scoring.thinned`), which bounds the time and the
            memory that a comparison takes; None: all. 32 references of 320 x 320 pixels, mirrored, have 12,800; those
            of large images have more.
        weigh: whether two defective images or more weigh the features (`fsad.fusion.weights`); equal weights if not.
    """
    height, width = size(default_side(backbone) if side is None else side)
    if min(height, width) < 32:
        raise ValueError(f"Expected sides of at least 32 pixels: a patch is 16. Received: {width} x {height}")
    if not 0 < power <= 1:
        raise ValueError(f"Expected a power in (0, 1]. Received: {power}")
    body, loaded = backbones.build(
        backbone, weights, (height, width), layers or backbones.spec_of(backbone).patch_layers or None
    )
    body.trainable = False
    network = loaded != "fixed"
    window = window or (2 if network else 1)
    neck, channels = _neck(body, window, power, components)
    how = {"fractions": fractions, "window": window, "smoothing": smoothing, "usual": usual}
    if tile:
        grid = zip(body.output_shape[1:3], (height, width), strict=True)
        how["tile"] = [max(2, round(tile * count / length)) for count, length in grid]
    if roi:
        cells = [length + window - 1 for length in neck.output_shape[1:3]]
        how["roi"] = regions_of_interest.cells(regions_of_interest.decode(roi), cells).astype(int).tolist()
    distance = siamese.patch_distance(neck.output_shape[1:], channels, **how)
    return _recipe(siamese.build(body, neck, distance), loaded, views, weigh, max_patches, adapt)


def refit(model, weights, settings):
    """The recipe of a fitted model with a distance of its own, to be fitted anew: the backbone and the neck with its
    principal components stay, so that what is in the detector already is embedded as before.

    Args:
        model, weights, settings: of a `fsad.fitted.Fitted`.
    """
    distance = siamese.parts(model).distance
    fresh = keras.models.clone_model(distance)
    fresh.set_weights(distance.get_weights())
    own = {name: settings[name] for name in ("views", "weigh", "max_patches") if name in settings}
    return _recipe(siamese.with_distance(model, fresh), weights, **own)


def _recipe(model, weights, views=None, weigh=True, max_patches=16384, adapt=lambda model, images: None):
    layer, _ = siamese.distance_layer(model)
    views = views or ("mirrored" if weights != "fixed" and not layer.tile else "none")
    if views not in VIEWS:
        raise ValueError(f"Expected views among {', '.join(VIEWS)}. Received: {views!r}")
    return Recipe(
        "patches",
        model,
        weights,
        views=VIEWS[views],
        max_patches=max_patches,
        adapt=adapt,
        fuse=lambda *held_out: fuse(model, *held_out, weigh),
    )


def _neck(body, window, power, components):
    """``(neck, channels)``: the neck, and how many channels it puts out of each layer."""
    maps, outputs, start = keras.Input(body.output_shape[1:], name="maps"), [], 0
    for k, count in enumerate(backbones.channels(body)):
        x = maps[..., start : start + count]
        start += count
        if window > 1:
            x = keras.layers.AveragePooling2D(window, strides=1, name=f"window_{k}")(x)
        if power != 1:
            x = SignedPower(power, name=f"power_{k}")(x)
        x = keras.layers.UnitNormalization(axis=-1, name=f"unit_{k}")(x)
        if components and components < count:
            # A random rotation until `adapt` finds the components.
            rotation = keras.initializers.Orthogonal(seed=0)
            dense = {"use_bias": False, "kernel_initializer": rotation, "trainable": False}
            x = keras.layers.Dense(components, name=f"components_{k}", **dense)(x)
            x = keras.layers.UnitNormalization(axis=-1, name=f"unit_components_{k}")(x)
        outputs.append(x)
    together = keras.layers.Concatenate(name="side_by_side")(outputs) if len(outputs) > 1 else outputs[0]
    return keras.Model(maps, together, name="neck"), [x.shape[-1] for x in outputs]


def adapt(model, images):
    """Finds the principal components of good images ``(n, height, width, 3)`` and puts them into the neck."""
    backbone, neck, _ = siamese.parts(model)
    dense = [layer for layer in neck.layers if layer.name.startswith("components_")]
    if not dense:
        return
    before = keras.Model(neck.input, {layer.name: layer.input for layer in dense})
    features, _ = siamese.compiled(model)
    moments = dict.fromkeys((layer.name for layer in dense), 0.0)
    step = batch_for(backbone.input_shape[1:3], BATCH)
    for start in range(0, len(images), step):
        batch = np.asarray(images[start : start + step], np.float32)
        for name, units in before(features(batch), training=False).items():
            flat = np.asarray(units, np.float64).reshape(-1, units.shape[-1])
            moments[name] = moments[name] + flat.T @ flat
    for layer in dense:
        vectors = np.linalg.eigh(moments[layer.name])[1][:, ::-1][:, : layer.units]
        vectors *= np.where(vectors.sum(0) < 0, -1, 1)  # of either sign: the same one everywhere
        layer.kernel.assign(vectors.astype(np.float32))


def fuse(model, good, defective, groups, weigh=True):
    """Fits how the layers are fused (`fsad.fusion.fit`) from held-out distances; returns the held-out scores."""
    layer, _ = siamese.distance_layer(model)
    numbers, good_scores, defective_scores = fusion.fit(layer, good, defective, groups, weigh)
    layer.adapt(*numbers)
    return good_scores, defective_scores
