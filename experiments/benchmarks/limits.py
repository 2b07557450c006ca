"""What this machine can do at best, and what a network must do at the least: the limits of speed."""

import io
import math
import os
import timeit

import numpy as np
from joblib import Parallel, delayed

SIDE = 4096


def measure():
    """A dict of ``float32_flops``, ``bfloat16_flops`` (matrix products per second), ``bytes_per_second`` (read from
    memory) and ``jpeg_pixels_per_second`` (decoded), all by all cores."""
    from fsad import training

    return {
        "float32_flops": _products("float32"),
        "bfloat16_flops": _products("bfloat16"),
        "bytes_per_second": _bandwidth(),
        "jpeg_pixels_per_second": _decoding(),
        "training": training.fast_precision().replace("mixed_", ""),
    }


def _best(call):
    call()
    return min(timeit.repeat(call, number=1, repeat=5))


def threads(function, items):
    """``function`` of each item, by all cores."""
    return Parallel(os.cpu_count(), prefer="threads")(delayed(function)(item) for item in items)


def _products(arithmetic):
    import tensorflow as tf

    square = tf.cast(tf.random.uniform((SIDE, SIDE)), arithmetic)
    product = tf.function(lambda: tf.reduce_max(tf.matmul(square, square)))
    seconds = _best(lambda: product().numpy())
    if arithmetic == "float32":  # NumPy's library is the faster one on some machines
        numbers = square.numpy()
        seconds = min(seconds, _best(lambda: numbers @ numbers))
    return 2 * SIDE**3 / seconds


def _bandwidth():
    parts = np.ones((os.cpu_count(), 2**25), np.float32)  # 128 MB a core: no cache holds it
    return parts.nbytes / _best(lambda: threads(np.max, parts))


def _decoding():
    from PIL import Image

    from fsad import synthetic

    drawn, _ = synthetic.draw("metal", "good", np.random.default_rng(0), size=1000)
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, "JPEG", quality=90)
    copies = [file.getvalue()] * 4 * os.cpu_count()
    seconds = _best(lambda: threads(lambda content: Image.open(io.BytesIO(content)).load(), copies))
    return len(copies) * drawn.shape[0] * drawn.shape[1] / seconds


def cost_of(layers):
    """``[(multiply-adds per image, weights), ...]`` of those Keras layers that have a kernel."""
    import keras

    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    return [
        (math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape), layer.count_params())
        for layer in layers
        if isinstance(layer, kinds)
    ]


def forward_seconds(cost, images, limits, arithmetic="float32"):
    """The least time for ``images`` at once: each layer bound by arithmetic or by reading its weights."""
    size = {"float32": 4, "bfloat16": 2}[arithmetic]
    return sum(
        max(2 * images * sums / limits[f"{arithmetic}_flops"], size * weights / limits["bytes_per_second"])
        for sums, weights in cost
    )


def training_seconds(cost, images, limits, arithmetic="float32"):
    """The least time of a training step: a pass forward, one back to the features, one to the weights of every layer
    (the first needs no features), and Adam's four numbers per weight read and three written."""
    sums, weights = (sum(column) for column in zip(*cost, strict=True))
    passes = 3 * sums - cost[0][0]
    return 2 * images * passes / limits[f"{arithmetic}_flops"] + 7 * 4 * weights / limits["bytes_per_second"]
