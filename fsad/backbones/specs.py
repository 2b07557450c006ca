"""What is fixed about each backbone."""

import dataclasses

import keras

from fsad.backbones import dinov2, efficientnet_lite

POSITIONS = (2, 4, 7, 10, 13)  # convolutions of VGG16, the last of each block (Takimoto et al. 2022)


@dataclasses.dataclass(frozen=True)
class Spec:
    """What is fixed about a backbone.

    Attributes:
        title: its name for people.
        side: input side in pixels as the paper uses it.
        frozen: not trained in the paper's recipe.
        application, options: its name in ``keras.applications``, and what that is called with.
        mode: preprocessing that its ImageNet weights expect.
        files: names its weights go by, Keras's own last.
        megabytes, licence, folder: of the file that Keras provides; its folder at `ADDRESS`.
        square: takes square images only.
        package: that brings the file, by its name on the Python package index.
        patch_layers: which recipe `patches` compares, half way between edges and objects: names of layers, or strides.
            Those of the MobileNets and of EfficientNet-Lite0 were chosen on four data sets; the others stand where
            theirs do, about the middle and the end of a resolution of 16 pixels (VGG: 8), and are not measured.
        attention_layers: the layer of each of `POSITIONS`, or the last one of the same resolution.
        last_layer: what paper T pools, if not the output.
    """

    title: str
    side: int = 224
    frozen: bool = False
    application: str | None = None
    options: tuple = ()
    mode: str = "zero_one"
    files: tuple = ()
    megabytes: int = 0
    licence: str = ""
    folder: str = ""
    package: str = ""
    square: bool = False
    patch_layers: tuple = ()
    attention_layers: tuple = ()
    last_layer: str | None = None

    @property
    def address(self):
        """Where Keras's file of weights is."""
        return f"{ADDRESS}{self.folder}/{self.files[-1]}"


ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/"
_TF = "_weights_tf_dim_ordering_tf_kernels_notop.h5"
SPECS = {
    "custom_cnn": Spec("Custom CNN", 100),
    "filter_bank": Spec("Filter bank", 320, frozen=True),
    "vgg16": Spec(
        "VGG16",
        application="VGG16",
        mode="caffe",
        files=("vgg16" + _TF,),
        megabytes=59,
        licence="CC-BY-4.0",
        folder="vgg16",
        patch_layers=("block4_conv3", "block5_conv3"),
        attention_layers=("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"),
        last_layer="block5_conv3",
    ),
    "vgg19": Spec(
        "VGG19",
        application="VGG19",
        mode="caffe",
        files=("vgg19" + _TF,),
        megabytes=80,
        licence="CC-BY-4.0",
        folder="vgg19",
        patch_layers=("block4_conv4", "block5_conv4"),
    ),
    "resnet50": Spec(
        "ResNet50",
        frozen=True,
        application="ResNet50",
        mode="caffe",
        files=("resnet50" + _TF,),
        megabytes=95,
        licence="MIT",
        folder="resnet",
        patch_layers=("conv4_block3_out", "conv4_block6_out"),
    ),
    "inception_v3": Spec(
        "InceptionV3",
        100,
        application="InceptionV3",
        mode="unit",
        files=("inception_v3" + _TF,),
        megabytes=88,
        licence="Apache-2.0",
        folder="inception_v3",
        patch_layers=("mixed5", "mixed7"),
    ),
    "mobilenet": Spec(
        "MobileNet 0.75",
        frozen=True,
        application="MobileNet",
        options=(("alpha", 0.75),),
        mode="unit",
        files=("mobilenet_v1_0.75_224_notop.weights.h5", "mobilenet_7_5_224_tf_no_top.h5"),
        megabytes=7,
        licence="Apache-2.0",
        folder="mobilenet",
        patch_layers=("conv_pw_9_relu", "conv_pw_11_relu"),
        attention_layers=tuple(f"conv_pw_{n}_relu" for n in (1, 3, 5, 11, 13)),
    ),
    "mobilenet_v2": Spec(
        "MobileNetV2",
        frozen=True,
        application="MobileNetV2",
        mode="unit",
        files=(
            "mobilenet_v2_1.0_224_notop_dequantized_bnfolded.weights.h5",
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        ),
        megabytes=9,
        licence="Apache-2.0",
        folder="mobilenet_v2",
        patch_layers=("block_12_add", "block_13_expand_relu"),
    ),
    "efficientnet_lite0": Spec(
        "EfficientNet-Lite0",
        frozen=True,
        mode="lite",
        files=(efficientnet_lite.FILE,),
        megabytes=19,
        licence="Apache-2.0",
        package=efficientnet_lite.PACKAGE,
        patch_layers=("block_8", "block_10"),
    ),
    **{
        name: Spec(
            f"DINOv2 {name.removeprefix('dinov2_')}",
            448,
            frozen=True,
            mode="torch",
            square=True,
            patch_layers=("block_6", "block_9", "block_12"),
        )
        for name in dinov2.SIZES
    },
}
# Preprocessing of the other families, by the beginning of their name; those with none here have it inside.
MODES = {
    "VGG": "caffe",
    "ResNet50V2": "unit",
    "ResNet101V2": "unit",
    "ResNet152V2": "unit",
    "ResNet": "caffe",
    "Inception": "unit",
    "Xception": "unit",
    "MobileNetV3": "none",
    "MobileNet": "unit",
    "NASNet": "unit",
    "DenseNet": "torch",
}


def spec_of(backbone):
    """The `Spec` of a name; that of a keras.applications name which is not in `SPECS` is made from its family.

    Raises:
        ValueError: neither.
    """
    if isinstance(backbone, keras.Model):
        return Spec(backbone.name, mode="none")
    by_application = {spec.application: name for name, spec in SPECS.items() if spec.application and not spec.options}
    backbone = by_application.get(backbone, backbone)
    if backbone in SPECS:
        return SPECS[backbone]
    if not isinstance(backbone, str) or not callable(getattr(keras.applications, backbone, None)):
        raise ValueError(
            f"Expected a backbone among {', '.join(SPECS)}, the name of a network in keras.applications, such as "
            f"EfficientNetB0, or a keras.Model. Received: {backbone!r}"
        )
    mode = next((mode for family, mode in MODES.items() if backbone.startswith(family)), "none")
    return Spec(backbone, frozen=True, application=backbone, mode=mode, patch_layers=(16,))


def attention_layer(backbone, position):
    """The layer behind which attention stands: one of `POSITIONS` is looked up, the name of a layer, or None, stays."""
    if not isinstance(position, int):
        return position
    known = spec_of(backbone).attention_layers
    if position not in POSITIONS or not known:
        able = ", ".join(name for name, spec in SPECS.items() if spec.attention_layers)
        raise ValueError(
            f"Expected a position among {POSITIONS} of {able}, or a layer. Received: {position} of {backbone}"
        )
    return known[POSITIONS.index(position)]
