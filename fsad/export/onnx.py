"""ONNX, for ONNX Runtime and what else reads it."""

from fsad.export import graph
from fsad.files import atomic_file

OPSET = 17


def write(detector, path):
    """Writes the ``.onnx`` file; returns images -> scores by what was written."""
    import onnxruntime

    convert(path, graph.score(detector))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["score"], {"images": images})[0]


def convert(path, function):
    """Writes a function as a file."""
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
    with atomic_file(path) as file:
        file.write(model.SerializeToString())


def remove(path):
    path.unlink(missing_ok=True)
