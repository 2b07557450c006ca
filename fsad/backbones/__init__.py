"""Backbones: raw RGB in [0, 255] -> feature map, with their preprocessing and their weights inside.

Everything known of a backbone stands in its `Spec`. A backbone is the name of one (`SPECS`), the name of any other
network of ``keras.applications``, or a Keras model of your own (`build` has the contract).
"""

import difflib
import math
from pathlib import Path

import keras
from keras import layers

from fsad import filter_bank
from fsad.backbones import dinov2, efficientnet_lite, own
from fsad.backbones.specs import POSITIONS, SPECS, Spec, attention_layer, spec_of
from fsad.images import size
from fsad.weights import WeightsError, find_or_download, local_file

__all__ = ["POSITIONS", "SPECS", "Spec", "attention_layer", "build", "channels", "local", "locate", "spec_of"]


def locate(backbone):
    """The file of a backbone's ImageNet weights, downloaded if it is not on this machine; None where it has none.

    Raises:
        fsad.weights.WeightsError: no file, and no network.
    """
    spec = spec_of(backbone)
    if spec.package:
        return local_file(spec.files) or efficientnet_lite.locate()
    return find_or_download(spec.title, spec.files, lambda: _application(spec, "imagenet")) if spec.files else None


def local(backbone):
    """The same if it is on this machine, else None. Asks no network."""
    try:
        return locate(backbone) if spec_of(backbone).package else local_file(spec_of(backbone).files)
    except WeightsError:
        return None


def build(backbone, weights="imagenet", side=None, layer=None):
    """Builds a backbone.

    Args:
        backbone: a key of `SPECS`; the name of another network in ``keras.applications``, such as
            ``"EfficientNetB0"``; or a functional Keras model of your own, from float32 RGB ``(batch, S, S, 3)`` in [0,
            255], preprocessing inside, to a feature map ``(batch, h, w, channels)``, whose layers are Keras's own (a
            saved detector must load without your code). Your model is copied, and ``weights`` is ignored.
        weights: ``"imagenet"``, the path of a weights file, or ``"none"``. The custom CNN has no ImageNet weights and
            starts from random ones unless given a path; the filter bank has nothing to learn or load.
        side: input side in pixels, or ``(height, width)``; the paper's, or that of your model, if None.
        layer: name of the layer whose output is taken, such as ``"conv_pw_11_relu"``; or a stride, such as 16: the
            last layer whose feature maps come nearest to it; the output if None. Of several, in a list, the feature
            maps are brought to the size of the first and put side by side (`channels`).

    Returns:
        ``(model, loaded)``: a functional model named ``"backbone"`` from float32 RGB ``(batch, height, width, 3)`` in
        [0, 255] to a feature map; and what was loaded: ``"imagenet"``, the path, ``"random"``, ``"fixed"`` (the filter
        bank), or ``"given"`` (your model). A backbone that the paper freezes is not trainable; MobileNets keep batch
        normalization in inference mode unless a recipe thaws it.

    Raises:
        ValueError: unknown name or layer, a model against the contract, or weights that do not fit.
        FileNotFoundError: no file at the given path.
        fsad.weights.WeightsError: ImageNet weights are unavailable; what to do then is for the caller to say.
    """
    spec = spec_of(backbone)
    if isinstance(backbone, keras.Model):
        model, loaded = _given(backbone, side), "given"
    else:
        image = keras.Input((*size(spec.side if side is None else side), 3), name="image")
        model, loaded = _named(backbone, spec, image, weights, layer)
    if layer is not None and backbone not in dinov2.SIZES:  # after loading: weights files are of the whole network
        names = layer if isinstance(layer, (list, tuple)) else [layer]
        outputs = [_layer(model, name, spec.title).output for name in names]
        model = keras.Model(model.input, _side_by_side(outputs), name="backbone")
    if len(model.output.shape) != 4:
        raise ValueError(
            f"Expected a backbone that puts out feature maps (h, w, channels). Received: {model.output.shape}"
        )
    if (spec.application or "").startswith("MobileNet"):
        for part in model.layers:
            if isinstance(part, layers.BatchNormalization):
                part.trainable = False
    if spec.frozen:
        model.trainable = False
    return model, loaded


def _given(model, side):
    try:
        (given_input,), (output,) = model.inputs, model.outputs
    except (AttributeError, ValueError, TypeError):
        raise ValueError(
            f"Expected a functional Keras model of one input and one output. Received: {type(model).__name__}"
        ) from None
    own.described(model)
    shape = given_input.shape
    if len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"Expected a backbone of one input (batch, S, S, 3). Received: {shape}")
    if side is None and None in shape[1:3]:
        raise ValueError(f"Expected side, since the backbone {model.name} takes any size. Received: None")
    wanted = size(shape[1:3] if side is None else side)
    if any(taken not in (None, given) for taken, given in zip(shape[1:3], wanted, strict=True)):
        raise ValueError(f"Expected side {shape[1]}, which the backbone {model.name} takes. Received: {side}")
    functional = keras.Model(given_input, output)  # of a Sequential model, too
    copy = keras.models.clone_model(functional, input_tensors=keras.Input((*wanted, 3)))
    copy.set_weights(model.get_weights())
    return keras.Model(copy.input, copy.output, name="backbone")


def channels(model):
    """Channels of each layer whose features a backbone of `build` puts side by side, a list."""
    last = model.layers[-1]
    return [x.shape[-1] for x in last.input] if last.name == "side_by_side" else [model.output_shape[-1]]


def _side_by_side(outputs):
    if len(outputs) == 1:
        return outputs[0]
    grid = outputs[0].shape[1:3]
    brought = []
    for k, x in enumerate(outputs):
        if x.shape[1:3] != grid:
            factors = [a / b for a, b in zip(x.shape[1:3], grid, strict=True)]
            if factors[0] == factors[1] == int(factors[0]):
                x = layers.AveragePooling2D(int(factors[0]), name=f"to_first_{k}")(x)
            else:
                x = layers.Resizing(*grid, name=f"to_first_{k}")(x)
        brought.append(x)
    return layers.Concatenate(name="side_by_side")(brought)


def _named(backbone, spec, image, weights, layer):
    prepared = _preprocess(image, spec.mode)
    if backbone in dinov2.SIZES:
        blocks = ["block_12"] if layer is None else [layer] if isinstance(layer, str) else list(layer)
        maps, loaded = dinov2.build(backbone, prepared, weights, blocks)
        return keras.Model(image, _side_by_side(maps), name="backbone"), loaded
    if backbone == "filter_bank":
        return filter_bank.build(image, prepared), "fixed"
    if spec.package:
        model = keras.Model(image, efficientnet_lite.build(prepared), name="backbone")
        if weights == "none":
            return model, "random"
        loaded = _load(model, locate(backbone) if weights == "imagenet" else weights)
        return model, "imagenet" if weights == "imagenet" else loaded
    if spec.application is None:
        model = keras.Model(image, _custom_cnn(prepared), name="backbone")
        return model, "random" if weights in ("imagenet", "none") else _load(model, weights)
    if weights == "imagenet":
        inner, loaded = _pretrained(backbone, spec, prepared), "imagenet"
    else:
        inner = _application(spec, None, input_tensor=prepared)
        loaded = "random" if weights == "none" else _load(inner, weights)
    return keras.Model(image, inner.output, name="backbone"), loaded


def _application(spec, weights, **inputs):
    network = getattr(keras.applications, spec.application)
    return network(include_top=False, weights=weights, **dict(spec.options), **inputs)


def _pretrained(backbone, spec, prepared):
    if spec.files:
        inner = _application(spec, None, input_tensor=prepared)
        _load(inner, locate(backbone))
        return inner
    try:  # by Keras, since some networks get a layer more together with their ImageNet weights
        return _application(spec, "imagenet", input_tensor=prepared)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise WeightsError(
            f"Expected ImageNet weights of {backbone} from keras.applications. Received: no download ({error})"
        ) from None


def _layer(model, name, title):
    names = [part.name for part in model.layers]
    if isinstance(name, int):
        maps = [part for part in model.layers if len(part.output.shape) == 4]
        # Without padding at the borders a stride of 16 is a little more.
        errors = [abs(math.log(model.input_shape[1] / part.output.shape[1] / name)) for part in maps]
        return [part for part, error in zip(maps, errors, strict=True) if error == min(errors)][-1]
    if name not in names:
        near = difflib.get_close_matches(str(name), names, 5, 0.5)
        which = f"perhaps {', '.join(near)}" if near else ", ".join(names)
        raise ValueError(f"Expected a layer of {title}: {which}. Received: {name!r}")
    return model.get_layer(name)


def _preprocess(image, mode):
    """Preprocessing as layers that a saved model carries along; what ``keras.applications`` does outside."""
    if mode == "none":
        return image
    if mode == "caffe":  # BGR, minus ImageNet's channel means
        blue_green_red = keras.ops.flip(image, axis=-1)
        return layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68], name="subtract_mean")(blue_green_red)
    if mode == "torch":  # [0, 1], minus ImageNet's channel means, over their deviations
        mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        scale, offset = [1 / (255 * d) for d in deviation], [-m / d for m, d in zip(mean, deviation, strict=True)]
        return layers.Rescaling(scale, offset=offset, name="standardise")(image)
    if mode == "lite":  # about [-1, 1], as TensorFlow Lite's networks
        return layers.Rescaling(1 / 128, offset=-127 / 128, name="to_unit")(image)
    if mode == "unit":  # [-1, 1]
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(image)
    return layers.Rescaling(1 / 255, name="to_zero_one")(image)


def _custom_cnn(x):
    """Four convolutions and three poolings (Senarathna and Wijesinghe 2025, figure 1).

    The paper prints layer kinds and a model size of 467 MB; the kernel sizes and widths are those of
    Koch et al. (2015), which is the reading that gives that size.
    """
    for filters, kernel in ((64, 10), (128, 7), (128, 4)):
        x = layers.Conv2D(filters, kernel, activation="relu")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    return layers.Conv2D(256, 4, activation="relu")(x)


def _load(model, path):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a weights file. Received: no such file")
    try:
        efficientnet_lite.load(model, path) if path.suffix == ".pth" else model.load_weights(path)
    except Exception as error:
        raise ValueError(f"{path}: expected weights of {model.name}. Received: {error}") from error
    return str(path)
