import base64
import importlib
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import fsad
from fsad import export, metrics
from fsad.export import runtime
from fsad.images import read_images


@pytest.mark.parametrize(
    "format", [f if f in ("saved_model", "onnx") else pytest.param(f, marks=pytest.mark.slow) for f in export.FORMATS]
)
def test_scores_as_the_detector_does(exported, format):
    path, result = exported(format)
    assert result["images"] == 25 and result["checked_on"] == "training images"
    assert result["largest_difference"] < 5e-4 and result["verdicts_changed"] == 0
    assert path.exists() and (format != "openvino" or path.with_suffix(".bin").exists())


def test_images_to_check_on(fitted, parts, monkeypatch, tmp_path):
    what, images = export.images_of(fitted, parts / "test" / "hole")
    assert what == "given images" and images.shape == (2, 96, 96, 3)
    what, images = export.images_of(fitted)  # held by the detector, wherever the files are
    assert what == "training images" and np.array_equal(images, fitted.fitted.images)
    (tmp_path / "damaged.png").write_bytes(b"no image")
    what, images = export.images_of(fitted, [tmp_path / "damaged.png", parts / "test" / "hole"])
    assert (
        what.startswith(f"given images (1 left out, first {tmp_path / 'damaged.png'}: not a PNG") and len(images) == 2
    )
    with pytest.raises(ValueError, match="none that can be read"):
        export.images_of(fitted, tmp_path / "damaged.png")
    monkeypatch.setattr(export, "MAX_IMAGES", 5)
    assert len(export.images_of(fitted)[1]) == 5


def test_damaged_changed_and_missing_training_files_do_not_matter(saved, parts, tmp_path):
    """The detector was fitted to other files of these names."""
    text = (saved / "detector.json").read_text()
    assert str(parts) in text
    detector = fsad.load(saved)
    for record in detector.fitted.training:
        record["name"] = str(tmp_path / "none.png")
    assert runtime.choose(detector, ["onnx"]).name == "onnx"


@pytest.mark.slow
def test_int8_is_close(fitted, parts, tmp_path):
    score = export.write(fitted, "litert", tmp_path / "m.tflite", int8=True)
    tested = fitted.inspect(parts / "test")
    scores = np.concatenate([score(image[None]) for image in read_images([p.name for p in tested], 96)])
    labels = [p.sample.label for p in tested]
    assert metrics.auroc(labels, scores) > metrics.auroc(labels, [p.score for p in tested]) - 0.05
    assert np.abs(scores - [p.score for p in tested]).max() > 1e-6  # it is another computation
    with pytest.raises(ValueError, match="for litert only"):
        export.export(fitted, "onnx", tmp_path / "m.onnx", int8=True)


@pytest.mark.slow
def test_saved_model_endpoints(fitted, parts, exported):
    loaded = tf.saved_model.load(exported("saved_model")[0])
    assert {"score", "score_encoded", "similarity", "serving_default"} <= set(loaded.signatures)
    paths = sorted((parts / "test" / "hole").glob("*.png"))
    images = read_images(paths, 96)
    result = loaded.signatures["serving_default"](images=tf.constant(images))
    expected = fitted.inspect(paths)
    assert np.allclose(result["score"], [p.score for p in expected], atol=1e-6)
    assert np.allclose(result["confidence"], [p.confidence for p in expected], atol=1e-5)
    assert result["defective"].numpy().tolist() == [p.verdict == "defective" for p in expected]
    assert np.allclose(result["anomaly_map"], [p.anomaly_map for p in expected], atol=1e-6)
    pair = loaded.signatures["similarity"](anchor=tf.constant(images[:1]), image=tf.constant(images[1:]))
    expected = fitted.model([images[:1].astype(np.float32), images[1:].astype(np.float32)])[0, 0]
    assert np.allclose([pair["dissimilarity"][0], 1 - pair["similarity"][0]], expected, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(96, 96), (200, 150), (60, 70), (130, 80)])
def test_encoded_images_score_as_files_do(fitted, exported, rng, tmp_path, height, width):
    score = tf.saved_model.load(exported("saved_model")[0]).signatures["score_encoded"]
    smooth = tf.image.resize(rng.uniform(0, 255, (9, 9, 4)), (height, width)).numpy().astype(np.uint8)
    Image.fromarray(smooth, "RGBA").save(tmp_path / "alpha.png")
    Image.fromarray(smooth[..., :3]).save(tmp_path / "colour.jpg", quality=95)
    Image.fromarray(smooth[..., 0]).save(tmp_path / "gray.png")
    for path in sorted(tmp_path.iterdir()):
        scores = score(encoded=tf.constant([path.read_bytes()]))["score"].numpy()
        assert scores == pytest.approx(fitted.score(path), abs=2e-3), path.name


def test_request_of_tensorflow_serving_fits_the_signature(fitted, parts, exported):
    """What the README sends, taken apart as the server does: each key of an instance is an input."""
    path = parts / "test" / "hole" / "001.png"
    body = {"signature_name": "score_encoded",
            "instances": [{"encoded": {"b64": base64.b64encode(path.read_bytes()).decode()}}]}  # fmt: skip
    received = json.loads(json.dumps(body))
    signature = tf.saved_model.load(exported("saved_model")[0]).signatures[received["signature_name"]]
    ((name, spec),) = signature.structured_input_signature[1].items()
    assert [name] == list(received["instances"][0]) and spec.dtype == tf.string and spec.shape.rank == 1
    encoded = [base64.b64decode(instance[name]["b64"]) for instance in received["instances"]]
    assert signature(encoded=tf.constant(encoded))["score"].numpy() == pytest.approx(fitted.score(path), abs=1e-4)


def test_an_export_that_scores_otherwise_is_refused_and_the_earlier_one_stays(fitted, tmp_path, monkeypatch):
    writer = importlib.import_module("fsad.export.litert")

    def shifted(detector, path):
        path.touch()
        return lambda images: detector.compare(images).score.numpy() + 0.01

    monkeypatch.setattr(writer, "write", shifted)
    (tmp_path / "m.tflite").write_text("earlier")
    with pytest.raises(export.ExportError, match=r"Received: a difference of 0\.01\."):
        export.export(fitted, "litert", tmp_path / "m.tflite")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


def test_int8_is_calibrated_on_training_images_and_checked_on_the_given(fitted, parts, tmp_path, monkeypatch):
    """Of two images one may not change its verdict; nothing was calibrated on them."""
    calibrated, by = [], fitted.threshold.value - 100
    writer = importlib.import_module("fsad.export.litert")

    def shifted(detector, path, representative):
        calibrated.append(representative)
        path.touch()
        return lambda images: detector.compare(images).score.numpy() + by

    monkeypatch.setattr(writer, "write", shifted)
    expected = sum(p.verdict == "defective" for p in fitted.inspect(parts / "test" / "hole"))
    with pytest.raises(export.ExportError, match=f"at most 10% of the verdicts. Received: {expected} of 2 on given"):
        export.export(fitted, "litert", tmp_path / "m.tflite", parts / "test" / "hole", int8=True)
    assert np.array_equal(calibrated[0], fitted.fitted.images) and not list(tmp_path.iterdir())
    by = 1e-3
    result = export.export(fitted, "litert", tmp_path / "m.tflite", int8=True)
    assert result["checked_on"] == "training images, which it was calibrated on" and (tmp_path / "m.tflite").exists()


def test_refuses_unknown_formats_and_says_what_is_missing(fitted, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Expected a format among saved_model, onnx"):
        export.export(fitted, "pickle", tmp_path / "m")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(export.ExportError, match=r"pip install 'fsad\[export\]'"):
        export.export(fitted, "onnx", tmp_path / "m.onnx")


def test_a_graph_that_cannot_be_made_costs_nothing_but_itself(fitted, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("fsad.export.onnx.converted", lambda *given: 1 / 0)
    folder = fitted.save(tmp_path / "detector")
    assert sorted(p.name for p in folder.iterdir()) == ["detector.json", "references.npz", "weights.npz"]
    assert "scoring needs TensorFlow (ZeroDivisionError" in caplog.text


def test_a_graph_has_references_and_weights_once(fitted, tmp_path):
    graph = (fitted.save(tmp_path / "detector") / "scorer.onnx").stat().st_size
    once = fitted.fitted.references.nbytes + sum(weight.nbytes for weight in fitted.model.get_weights())
    assert once < graph < 1.1 * once + 100_000


def test_the_order_and_names_of_a_graph_are_its_own():
    """The same arithmetic, as a converter that goes through sets may write it."""
    from onnx import TensorProto, helper, numpy_helper

    from fsad.export import onnx

    def model(names, order):
        x, y, one, two, size = names
        nodes = [
            helper.make_node("Add", ["images", one], [x], name=f"{x}_node"),
            helper.make_node("Mul", ["images", two], [y], name=f"{y}_node"),
            helper.make_node("Sub", [x, y], ["score"], name="last"),
            helper.make_node("Neg", ["images"], ["nobody's"]),
        ]
        constants = [numpy_helper.from_array(np.float32([k]), name) for k, name in ((1, one), (2, two))]
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size]) for name in ("images", "score")]
        graph = helper.make_graph([nodes[k] for k in order], x, ports[:1], ports[1:], constants[:: order[0] * 2 - 1])
        return helper.make_model(graph)

    first, second = (
        onnx._in_order(model(*given))
        for given in ((("a", "b", "c", "d", "n"), (0, 1, 2, 3)), (("q", "a", "s", "c", "m"), (1, 0, 3, 2)))
    )
    assert first.SerializeToString() == second.SerializeToString()
    assert [node.op_type for node in first.graph.node] == ["Add", "Mul", "Sub"]
    assert [constant.name for constant in first.graph.initializer] == ["constant_1", "constant_2"]
