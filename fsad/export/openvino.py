"""OpenVINO IR: an ``.xml`` file with its weights in a ``.bin`` beside it, in float32.

Compile it with ``EXECUTION_MODE_HINT`` ``ACCURACY``: by default OpenVINO computes in bfloat16 where the processor can,
and scores move by more than the threshold bears. The file cannot ask for it.
"""

import os
import tempfile
from pathlib import Path

from fsad.files import move_file


def write(detector, path):
    """Writes both files; returns images -> scores by what was written."""
    import openvino

    from fsad.export import graph

    if path.suffix != ".xml":
        raise ValueError(f"{path}: expected a file that ends in .xml. Received: {path.suffix or 'no ending'}")
    # Half precision is its default and moves scores.
    openvino.save_model(convert(detector, graph.score(detector)), path, compress_to_fp16=False)
    run = compiled(path)
    return lambda images: run(images)["score"]


def convert(detector, function):
    """A function over the detector's model as an ``openvino.Model``."""
    import openvino

    from fsad.export import saved_model

    with tempfile.TemporaryDirectory() as folder:
        saved_model.save(detector, folder, {"score": function})
        return openvino.convert_model(folder)


def read(graph):
    """The bytes of an ONNX file as an ``openvino.Model``."""
    import openvino

    return openvino.Core().read_model(graph)


def compiled(model, bfloat16=False):
    """A model, or the path of one, ready to run on the CPU; uint8 images -> outputs by name."""
    import openvino

    precision = {"INFERENCE_PRECISION_HINT": "bf16"} if bfloat16 else {"EXECUTION_MODE_HINT": "ACCURACY"}
    return openvino.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", **precision})


def place(part, path):
    """Moves what was written to where it belongs. There is no ``.xml`` while the weights are not its own."""
    Path(os.path.realpath(path)).unlink(missing_ok=True)
    move_file(part.with_suffix(".bin"), path.with_suffix(".bin"))
    move_file(part, path)
