import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fsad import graph_file


def model(nodes, constants=(), **more):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("images", "score")]
    return helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], list(constants)), **more)


def identity(**more):
    return helper.make_node("Identity", ["images"], ["score"], **more)


def test_arithmetic_passes():
    constant = numpy_helper.from_array(np.ones(300, np.float32), "w")
    graph_file.check(
        model([identity(), helper.make_node("Mul", ["images", "w"], ["score"])], [constant]).SerializeToString()
    )


def test_tensors_in_other_files_are_refused():
    constant = numpy_helper.from_array(np.ones(3, np.float32), "w")
    constant.ClearField("raw_data")
    constant.data_location = TensorProto.EXTERNAL
    entry = constant.external_data.add()
    entry.key, entry.value = "location", "../secret"
    node = helper.make_node("Constant", [], ["w"], value=constant)
    for given in (model([identity()], [constant]), model([identity(), node])):
        with pytest.raises(ValueError, match="a tensor that lies in another one"):
            graph_file.check(given.SerializeToString())


def test_loops_functions_and_foreign_operators_are_refused():
    inner = model([identity()]).graph
    cases = {
        "a node with a graph": model(
            [helper.make_node("If", ["images"], ["score"], then_branch=inner, else_branch=inner)]
        ),
        "com.evil.Identity": model([identity(domain="com.evil")]),
        "functions of its own": model(
            [identity()],
            functions=[helper.make_function("own", "F", ["x"], ["y"], [], [helper.make_opsetid("", 17)])],
        ),
    }
    for message, given in cases.items():
        with pytest.raises(ValueError, match=message):
            graph_file.check(given.SerializeToString())


@pytest.mark.parametrize("data", [b"", b"no such file at all", b"\x3a\xff\xff\xff\xff\x0f", b"\x38\x01", b"\xff" * 20])
def test_other_files_are_refused(data):
    with pytest.raises(ValueError, match="expected an ONNX file"):
        graph_file.check(data)
