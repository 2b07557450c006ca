"""OpenVINO IR: an ``.xml`` file with its weights in a ``.bin`` beside it, in float32.

Compile it with ``EXECUTION_MODE_HINT`` ``ACCURACY``: by default OpenVINO computes in bfloat16 where the processor can,
and scores move by more than the threshold bears. The file cannot ask for it.
"""

import os
import tempfile
from pathlib import Path

from fsad.export import onnx


def write(detector, path):
    """Writes both files; returns pictures -> scores by what was written."""
    import openvino

    if path.suffix != ".xml":
        raise ValueError(f"{path}: expected a file that ends in .xml. Received: {path.suffix or 'no ending'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        onnx.convert(detector, Path(folder) / "model.onnx")
        model = openvino.convert_model(Path(folder) / "model.onnx")
        # Half precision is its default and moves scores.
        openvino.save_model(model, Path(folder) / "model.xml", compress_to_fp16=False)
        os.replace(Path(folder) / "model.bin", path.with_suffix(".bin"))
        os.replace(Path(folder) / "model.xml", path)
    compiled = openvino.Core().compile_model(path, "CPU", {"EXECUTION_MODE_HINT": "ACCURACY"})
    return lambda pictures: compiled(pictures)["score"]


def remove(path):
    path.unlink(missing_ok=True)
    path.with_suffix(".bin").unlink(missing_ok=True)
