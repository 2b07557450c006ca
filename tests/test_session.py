import numpy as np
import pytest

from fsad.export import session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
MEAN = onnx.helper.make_node("ReduceMean", ["images"], ["score"], axes=[1, 2, 3], keepdims=0)


def graph(nodes, inputs=("images",)):
    """The bytes of a graph of images of 2 x 2 pixels, one channel."""
    make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    ports, results = [make(name, kind, ["n", 2, 2, 1]) for name in inputs], [make("score", kind, None)]
    body = onnx.helper.make_graph(nodes, "g", ports, results)
    return onnx.helper.make_model(
        body, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


@pytest.mark.parametrize("count", [1, 2, 9])
def test_outputs_are_in_the_order_of_the_images(count):
    images = np.arange(count, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1), np.float32)
    assert session.of(graph([MEAN]))(images)["score"].tolist() == list(range(count))


def test_large_images_are_taken_one_after_the_other(monkeypatch):
    monkeypatch.setattr("fsad.images.MAX_BATCH", 2 * 2)
    monkeypatch.setattr(session, "ThreadPoolExecutor", None)
    assert session.of(graph([MEAN]))(np.full((3, 2, 2, 1), 5, np.float32))["score"].tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        graph([onnx.helper.make_node("System", ["images"], ["score"])]),
        graph([onnx.helper.make_node("Add", ["a", "b"], ["score"])], "ab"),
    ],
)
def test_what_is_no_graph_of_images_is_an_error(data):
    with pytest.raises(session.GraphError, match="Expected a graph that scores images"):
        session.of(data)


def test_images_of_another_size_and_scores_of_another_shape_are_errors():
    scorer = session.of(graph([onnx.helper.make_node("Identity", ["images"], ["score"])]))
    with pytest.raises(session.GraphError, match=r"a score for each of 1 images. Received: \{'score': \(1, 2, 2, 1\)"):
        scorer(np.zeros((1, 2, 2, 1), np.float32))
    with pytest.raises(session.GraphError, match="graph that scores"):
        scorer(np.zeros((1, 3, 2, 1), np.float32))


def test_a_worker_keeps_to_the_cores_that_it_was_given(monkeypatch):
    """One core: one image after the other by one session, whatever the machine has."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made, create = [], session._Session
    monkeypatch.setattr(session, "_Session", lambda data, threads: made.append(threads) or create(data, threads))
    assert session.of(graph([MEAN]))(np.full((9, 2, 2, 1), 5, np.float32))["score"].tolist() == [5] * 9
    assert made == [1]
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert session.cores() == 0
