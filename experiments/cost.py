"""What a network must do at the least: multiplications and numbers read, layer by layer."""

import math

import keras


def of(layers):
    """``[(multiply-adds for one picture, weights), ...]`` of those Keras layers that have a kernel."""
    found = []
    for layer in layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)):
            places = math.prod(layer.output.shape[1:-1])
            found.append((places * math.prod(layer.kernel.shape), layer.count_params()))
    return found


def forward_seconds(cost, pictures, limits, arithmetic="float32"):
    """The least time for ``pictures`` at once: each layer bound by arithmetic or by reading its weights."""
    size = {"float32": 4, "bfloat16": 2}[arithmetic]
    return sum(
        max(2 * pictures * sums / limits[f"{arithmetic}_flops"], size * weights / limits["bytes_per_second"])
        for sums, weights in cost
    )


def training_seconds(cost, pictures, limits, arithmetic="float32"):
    """The least time of a training step: a pass forward, one back to the features, one to the weights of every layer
    (the first needs no features), and Adam's four numbers a weight read and three written."""
    sums, weights = (sum(column) for column in zip(*cost, strict=True))
    passes = 3 * sums - cost[0][0]
    return 2 * pictures * passes / limits[f"{arithmetic}_flops"] + 7 * 4 * weights / limits["bytes_per_second"]
