"""ONNX, for ONNX Runtime and what else reads it."""

import importlib.util
import logging
import os

import numpy as np

from fsad import export, graph_file
from fsad.export import session
from fsad.files import atomic_file, move_file

log = logging.getLogger(__name__)

OPSET = 17
CHECKED = 4  # training images that a saved graph is checked on


def write(detector, path):
    """Writes the ``.onnx`` file; returns images -> scores by what was written."""
    import onnxruntime

    from fsad.export import graph

    convert(path, graph.score(detector))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["score"], {"images": images})[0]


def convert(path, function):
    """Writes a function as a file."""
    with atomic_file(path) as file:
        file.write(converted(function))


def converted(function):
    """A function of TensorFlow as the bytes of a file."""
    import tf2onnx

    # Else it copies the graph before each of some forty passes, to go back to, which takes half of its time.
    before = os.environ.get("TF2ONNX_CATCH_ERRORS")
    os.environ["TF2ONNX_CATCH_ERRORS"] = "FALSE"
    try:
        model, _ = tf2onnx.convert.from_function(
            function, input_signature=function.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
        )
    finally:
        if before is None:
            del os.environ["TF2ONNX_CATCH_ERRORS"]
        else:
            os.environ["TF2ONNX_CATCH_ERRORS"] = before
    return _in_order(model).SerializeToString(deterministic=True)


def _in_order(model):
    """A model without graphs within its nodes, in the one order and with the names that follow from its outputs.

    The converter goes through sets and counts names per process: a detector that is fitted again would have another
    file, though the same arithmetic.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    constants = {constant.name: constant for constant in graph.initializer}
    names = {port.name: port.name for port in (*graph.input, *graph.output)}
    nodes, used, waiting = [], [], [port.name for port in reversed(graph.output)]
    done = set()
    while waiting:  # depth first: a node comes after all that it takes
        name = waiting[-1]
        node = makers.get(name)
        missing = [] if node is None else [given for given in node.input if given and given not in done]
        if missing and name not in done:
            waiting += reversed(missing)
            continue
        waiting.pop()
        if name in done:
            continue
        if node is None:
            done.add(name)
            if name in constants:
                used.append(constants[name])
                names[name] = f"constant_{len(used)}"
            continue
        nodes.append(node)
        for place, output in enumerate(node.output):
            done.add(output)
            names.setdefault(output, f"{node.op_type}_{len(nodes)}_{place}")
    for number, node in enumerate(nodes, 1):
        node.name = f"{node.op_type}_{number}"
        if not node.domain:  # given as empty by some rules of the converter, and not at all by others
            node.ClearField("domain")
        for ports in (node.input, node.output):
            ports[:] = [names[name] if name else "" for name in ports]
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    for constant in used:
        constant.name = names[constant.name]
    for values, ordered in ((graph.node, nodes), (graph.initializer, used)):
        ordered = [type(value).FromString(value.SerializeToString()) for value in ordered]
        del values[:]
        values.extend(ordered)
    del graph.value_info[:]
    graph.name, graph.doc_string = "fsad", ""
    sizes = {}
    for port in (*graph.input, *graph.output):
        for dim in port.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = sizes.setdefault(dim.dim_param, f"size_{len(sizes) + 1}")
    return model


def graph_of(detector):
    """The bytes of a file that gives what `fsad.Detector.scorer` does, checked on training images; None where a package
    is missing that writes or reads it, where it cannot be made, or where its scores differ, which is logged."""
    if any(importlib.util.find_spec(name) is None for name in ("tf2onnx", "onnxruntime")):
        return None
    function = detector.traced()
    images = export.images_of(detector)[1][:CHECKED]
    try:  # converter and runtime raise what they like, and what was fitted must not be lost
        graph = converted(function)
        graph_file.check(graph)
        scorer = session.of(graph)
        expected, received = np.asarray(function(images)["score"]), scorer(images)["score"]
    except Exception as error:
        log.warning("No graph was saved, so that scoring needs TensorFlow (%s: %s).", type(error).__name__, error)
        return None
    difference = float(np.abs(expected - received).max())
    if not difference <= export.TOLERANCE:
        log.warning("No graph was saved, since its scores differ by %.2g: scoring needs TensorFlow.", difference)
        return None
    return graph


def _erfc(graph, node, name, _):
    """Writes ``Erfc``, by which TensorFlow computes GELU and which ONNX lacks, as ``1 - Erf``."""
    output, shapes, dtypes = node.output[0], [graph.get_shape(node.output[0])], [graph.get_dtype(node.output[0])]
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=dtypes)
    one = graph.make_const(f"{name}_one", np.array(1, np.float32))
    graph.remove_node(node.name)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=[output], shapes=shapes, dtypes=dtypes)


def place(part, path):
    """Moves what was written to where it belongs."""
    move_file(part, path)
