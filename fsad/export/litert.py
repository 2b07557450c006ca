"""LiteRT (TensorFlow Lite), for phones and boards: float32, or int8 after calibration.

Int8 quantises the backbone; what compares stays in float32, since the distances of neighbours are
smaller than its steps. Noise of rounding makes every image a little more distant: the median of that,
over the calibration images, is taken off the score, so that the threshold stays where it was.
"""

import contextlib
import os
import tempfile

import numpy as np
import tensorflow as tf

from fsad.export import graph, saved_model
from fsad.files import atomic_file, move_file

# What neck and distance are made of; everything else a backbone has is quantised.
_FLOAT = ("FULLY_CONNECTED", "BATCH_MATMUL", "REDUCE_MAX", "REDUCE_MIN", "TOPK_V2", "SUB", "ABS", "SUM", "SQUARE",
          "RSQRT", "SQRT", "DIV", "MINIMUM", "MAXIMUM", "LOGISTIC", "RESHAPE", "TRANSPOSE")  # fmt: skip


def write(detector, path, representative=None):
    """Writes the ``.tflite`` file; returns images -> scores by what was written.

    Args:
        representative: uint8 ``(n, height, width, 3)`` to calibrate int8 on; float32 if None.
    """
    if representative is None:
        with _converter(detector) as converter:
            data = converter.convert()
    else:
        expected = np.concatenate([detector.compare(image[None]).score.numpy() for image in representative])
        plain = _runner(model_content=_quantised(detector, representative, 0.0))
        shift = np.median(np.concatenate([plain(image[None]) for image in representative]) - expected)
        data = _quantised(detector, representative, float(shift))
    with atomic_file(path) as file:
        file.write(data)
    return _runner(model_path=str(path))


@contextlib.contextmanager
def _converter(detector, shift=0.0):
    with tempfile.TemporaryDirectory() as folder:
        saved_model.save(detector, folder, {"score": graph.score(detector, shift)})
        yield tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["score"])


def _quantised(detector, representative, shift):
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=list(_FLOAT))
    with _converter(detector, shift) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ({"images": image[None]} for image in representative)
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=converter.representative_dataset, debug_options=options
        )
        return debugger.get_nondebug_quantized_model()


def _runner(**source):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(**source, num_threads=os.cpu_count()).get_signature_runner("score")
    return lambda images: run(images=images)["score"].reshape(-1)


def place(part, path):
    """Moves what was written to where it belongs."""
    move_file(part, path)
