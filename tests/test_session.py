import numpy as np
import pytest
from onnx import TensorProto, helper

from fsad.export import session


def graph(nodes, inputs=("images",)):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in inputs]
    results = [helper.make_tensor_value_info("score", TensorProto.FLOAT, None)]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ports, results), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    return model.SerializeToString()


def test_a_graph_is_a_function():
    scorer = session.of(graph([helper.make_node("ReduceMax", ["images"], ["score"], axes=[1], keepdims=0)]))
    assert scorer(np.float32([[1, 2], [4, 3]]))["score"].tolist() == [2, 4]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        graph([helper.make_node("System", ["images"], ["score"])]),
        graph([helper.make_node("Add", ["a", "b"], ["score"])], "ab"),
    ],
)
def test_what_is_no_graph_of_images_is_an_error(data):
    with pytest.raises(session.GraphError, match="Expected a graph that scores images"):
        session.of(data)


def test_images_of_another_size_and_scores_of_another_shape_are_errors():
    scorer = session.of(graph([helper.make_node("Identity", ["images"], ["score"])]))
    with pytest.raises(session.GraphError, match=r"a score for each of 1 images. Received: \{'score': \(1, 2\)\}"):
        scorer(np.zeros((1, 2), np.float32))
    with pytest.raises(session.GraphError, match="graph that scores"):
        scorer(np.zeros((1, 3), np.float32))
