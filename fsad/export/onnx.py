"""ONNX, for ONNX Runtime and what else reads it."""

import importlib.util
import logging

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

    with atomic_file(path) as file:
        file.write(converted(graph.score(detector, references_given=True), detector.fitted.references))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["score"], {"images": images})[0]


def converted(function, references=None):
    """A function of TensorFlow as the bytes of a file.

    The steps are those of ``tf2onnx.convert.from_function`` but for its copies, gigabytes where the network is large:
    one of the graph before each of some forty passes, and one of its constants after each.

    Args:
        function: a ``tf.function``.
        references: float32, in place of the function's second input, which the file has as a constant; the converter
            would fold what is computed of it into further constants.
    """
    import tensorflow as tf
    from onnx import numpy_helper
    from tf2onnx import optimizer, tf_loader, tfonnx

    concrete = function.get_concrete_function()
    inputs = [tensor.name for tensor in concrete.inputs if tensor.dtype != tf.resource]
    outputs = [tensor.name for tensor in concrete.outputs]
    names = dict(zip(inputs, (spec.name for spec in function.input_signature), strict=True))
    names |= {tensor.name: name for name, tensor in concrete.structured_outputs.items()}
    frozen = tf_loader.from_function(concrete, inputs, outputs)
    with tf.Graph().as_default() as constant:
        tf.import_graph_def(frozen, name="")
        graph = tfonnx.process_tf_graph(
            constant,
            opset=OPSET,
            input_names=inputs,
            output_names=outputs,
            tensors_to_rename=names,
            custom_op_handlers={"Erfc": (_erfc, [])},
        )
    passes = {name: _without_copy(each) for name, each in optimizer._get_optimizers().items()}
    model = optimizer.optimize_graph(graph, catch_errors=False, optimizers=passes).make_model("fsad")
    if references is not None:
        model.graph.initializer.append(numpy_helper.from_array(references, model.graph.input.pop().name))
    return _in_order(model).SerializeToString(deterministic=True)


def _without_copy(factory):
    """A pass over the graph which does not write it into protocol buffers, whose memory stays taken, at its end."""

    class Pass(factory):
        def optimize(self, graph, iteration):
            self.opt_iteration = iteration
            graph = self._optimize(graph)
            graph.delete_unused_nodes(graph.outputs)
            return graph

    return Pass


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
    images = export.images_of(detector)[1][:CHECKED, None]  # one at a time, which takes least memory
    try:  # converter and runtime raise what they like, and what was fitted must not be lost
        graph = converted(detector.traced(references_given=True), detector.fitted.references)
        graph_file.check(graph)
        scorer = session.of(graph)
        expected = np.concatenate([detector.compare(image).score for image in images])
        received = np.concatenate([scorer(image)["score"] for image in images])
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
