"""ONNX, for ONNX Runtime and what else reads it."""

from fsad import storage
from fsad.export import graph

OPSET = 17


def write(detector, path):
    """Writes the ``.onnx`` file; returns pictures -> scores by what was written."""
    import onnxruntime

    convert(path, graph.score(detector))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda pictures: session.run(["score"], {"pictures": pictures})[0]


def convert(path, function):
    """Writes a function as a file."""
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
    storage.write(path, model.SerializeToString())


def remove(path):
    path.unlink(missing_ok=True)
