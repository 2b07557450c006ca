"""ONNX, for ONNX Runtime and what else reads it."""

import numpy as np

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

    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
    )
    with atomic_file(path) as file:
        file.write(model.SerializeToString())


def _erfc(graph, node, name, _):
    """Writes ``Erfc``, by which TensorFlow computes GELU and which ONNX lacks, as ``1 - Erf``."""
    output, shapes, dtypes = node.output[0], [graph.get_shape(node.output[0])], [graph.get_dtype(node.output[0])]
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=dtypes)
    one = graph.make_const(f"{name}_one", np.array(1, np.float32))
    graph.remove_node(node.name)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=[output], shapes=shapes, dtypes=dtypes)


def remove(path):
    path.unlink(missing_ok=True)
