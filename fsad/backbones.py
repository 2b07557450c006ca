"""Backbones: raw RGB in [0, 255] -> feature map, with their preprocessing and their weights inside."""

import dataclasses
import logging
import os
import socket
from pathlib import Path

import keras
from keras import layers

from fsad import filter_bank

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Spec:
    """What is fixed about a backbone.

    ``side``: input side in pixels as the paper uses it; ``frozen``: not trained in the paper's recipe;
    ``application``: name in ``keras.applications``; ``mode``: preprocessing the ImageNet weights expect;
    ``files``: names its weights go by, looked up in ``FSAD_WEIGHTS_DIR``.
    """

    title: str
    side: int
    frozen: bool = False
    application: str | None = None
    options: tuple = ()
    mode: str = "zero_one"
    files: tuple = ()


_TF = "_weights_tf_dim_ordering_tf_kernels_notop.h5"
SPECS = {
    "custom_cnn": Spec("Custom CNN", 100),
    "filter_bank": Spec("Filter bank", 320, frozen=True),
    "vgg16": Spec("VGG16", 224, application="VGG16", mode="caffe", files=("vgg16" + _TF,)),
    "vgg19": Spec("VGG19", 224, application="VGG19", mode="caffe", files=("vgg19" + _TF,)),
    "resnet50": Spec("ResNet50", 224, frozen=True, application="ResNet50", mode="caffe", files=("resnet50" + _TF,)),
    "inception_v3": Spec("InceptionV3", 100, application="InceptionV3", mode="unit", files=("inception_v3" + _TF,)),
    "mobilenet": Spec(
        "MobileNet 0.75",
        224,
        frozen=True,
        application="MobileNet",
        options=(("alpha", 0.75),),
        mode="unit",
        files=("mobilenet_v1_0.75_224_notop.weights.h5", "mobilenet_7_5_224_tf_no_top.h5"),
    ),
    "mobilenet_v2": Spec(
        "MobileNetV2",
        224,
        frozen=True,
        application="MobileNetV2",
        mode="unit",
        files=(
            "mobilenet_v2_1.0_224_notop_dequantized_bnfolded.weights.h5",
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        ),
    ),
}


def source(name, weights):
    """Where the weights would come from now: the path of a file, ``"network"``, ``"unreachable"`` or ``"none"``."""
    spec = SPECS[name]
    if weights == "none" or (weights == "imagenet" and spec.application is None):
        return "none"
    if weights != "imagenet":
        return str(weights)
    folders = [
        os.environ.get("FSAD_WEIGHTS_DIR"),
        Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models",
    ]
    for path in (Path(folder) / file for folder in folders if folder for file in spec.files):
        if path.is_file():
            return str(path)
    try:
        socket.create_connection(("storage.googleapis.com", 443), timeout=3).close()
    except OSError:
        return "unreachable"
    return "network"


def build(name, weights="imagenet", side=None, layer=None):
    """Builds a backbone.

    Args:
        name: a key of `SPECS`.
        weights: ``"imagenet"``, the path of a weights file, or ``"none"``. ImageNet weights are looked
            for in the folder ``FSAD_WEIGHTS_DIR``, then in Keras's cache and on the network; where none
            is reached a warning is logged and random weights are used. The custom CNN has no ImageNet
            weights and always starts from random ones unless given a path; the filter bank has nothing
            to learn or load.
        side: input side in pixels; the paper's if None.
        layer: name of the layer whose output is taken, such as ``"conv_pw_11_relu"``; the last if None.

    Returns:
        ``(model, loaded)``: a functional model named ``"backbone"`` from float32 RGB
        ``(batch, side, side, 3)`` in [0, 255] to a feature map ``(batch, h, w, channels)``; and what
        was loaded: ``"imagenet"``, the path, ``"random"``, or ``"fixed"`` (the filter bank). A backbone
        that the paper freezes is not trainable; MobileNets keep batch normalisation in inference mode
        whatever is trained.

    Raises:
        ValueError: unknown name or layer, or weights that do not fit.
        FileNotFoundError: no file at the given path.
    """
    if name not in SPECS:
        raise ValueError(f"Expected a backbone among {', '.join(SPECS)}. Received: {name!r}")
    spec = SPECS[name]
    side = side or spec.side
    picture = keras.Input((side, side, 3), name="picture")
    prepared = _preprocess(picture, spec.mode)
    if name == "filter_bank":
        model, loaded = filter_bank.build(picture, prepared), "fixed"
    elif spec.application is None:
        model = keras.Model(picture, _custom_cnn(prepared), name="backbone")
        loaded = "random"
        if weights not in ("imagenet", "none"):
            loaded = _load(model, weights)
    else:
        application = getattr(keras.applications, spec.application)
        inner = application(include_top=False, weights=None, input_tensor=prepared, **dict(spec.options))
        loaded = _pretrained(inner, name, spec, side, weights)
        model = keras.Model(picture, inner.output, name="backbone")
    if layer is not None:  # after loading: weights files are of the whole network
        names = [found.name for found in model.layers]
        if layer not in names:
            raise ValueError(f"Expected a layer of {name}: {', '.join(names)}. Received: {layer!r}")
        model = keras.Model(picture, model.get_layer(layer).output, name="backbone")
    if name.startswith("mobilenet"):
        for found in model.layers:
            if isinstance(found, layers.BatchNormalization):
                found.trainable = False
    if spec.frozen:
        model.trainable = False
    return model, loaded


def _preprocess(picture, mode):
    """Preprocessing as layers that a saved model carries along; what ``keras.applications`` does outside."""
    if mode == "caffe":  # BGR, minus ImageNet's channel means
        blue_green_red = keras.ops.flip(picture, axis=-1)
        return layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68], name="subtract_mean")(blue_green_red)
    if mode == "unit":  # [-1, 1]
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit")(picture)
    return layers.Rescaling(1 / 255, name="to_zero_one")(picture)


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
        raise FileNotFoundError(f"{path}: expected a weights file. Received: nothing there")
    try:
        model.load_weights(path)
    except Exception as error:
        raise ValueError(f"{path}: expected weights of {model.name}. Received: {error}") from error
    return str(path)


def _pretrained(inner, name, spec, side, weights):
    if weights == "none":
        return "random"
    if weights != "imagenet":
        return _load(inner, weights)
    found = source(name, weights)
    if found == "network":
        try:
            application = getattr(keras.applications, spec.application)
            donor = application(include_top=False, input_shape=(side, side, 3), **dict(spec.options))
            inner.set_weights(donor.get_weights())
            return "imagenet"
        except Exception as error:  # Keras raises a bare Exception when a download fails
            found = f"download failed: {error}"
    elif found != "unreachable":
        _load(inner, found)
        return "imagenet"
    log.warning("%s: ImageNet weights cannot be reached (%s); going on from random weights", name, found)
    return "random"
