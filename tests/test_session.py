import numpy as np
import pytest

from fsad.export import session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def graph():
    """The bytes of a graph whose score is the mean of an image."""
    kinds = onnx.TensorProto
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["numbers"], to=kinds.FLOAT),
        onnx.helper.make_node("ReduceMean", ["numbers"], ["score"], axes=[1, 2, 3], keepdims=0),
    ]
    images = onnx.helper.make_tensor_value_info("images", kinds.UINT8, ["n", 4, 6, 3])
    score = onnx.helper.make_tensor_value_info("score", kinds.FLOAT, ["n"])
    body = onnx.helper.make_graph(nodes, "mean", [images], [score])
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(body, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize("count", [1, 2, 9])
def test_outputs_are_in_the_order_of_the_images(graph, count):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    assert session.of(graph)(images)["score"].tolist() == list(range(count))


def test_large_images_are_taken_one_after_the_other(graph, monkeypatch):
    monkeypatch.setattr("fsad.images.MAX_BATCH", 4 * 6)
    monkeypatch.setattr(session, "ThreadPoolExecutor", None)
    assert session.of(graph)(np.full((3, 4, 6, 3), 5, np.uint8))["score"].tolist() == [5, 5, 5]


def test_a_worker_keeps_to_the_cores_that_it_was_given(graph, monkeypatch):
    """One core: one image after the other by one session, whatever the machine has."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made, create = [], session._Session
    monkeypatch.setattr(session, "_Session", lambda graph, threads: made.append(threads) or create(graph, threads))
    assert session.of(graph)(np.full((9, 4, 6, 3), 5, np.uint8))["score"].tolist() == [5] * 9
    assert made == [1]
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert session.cores() == 0
