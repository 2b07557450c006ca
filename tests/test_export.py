import base64
import importlib
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from fsad import export, images, metrics

PATHS = {"saved_model": "model", "onnx": "model.onnx", "openvino": "model.xml", "litert": "model.tflite"}


@pytest.fixture(scope="module")
def saved_model(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model"
    export.export(fitted, "saved_model", path)
    return path


@pytest.mark.parametrize("format", [f for f in export.FORMATS if f != "saved_model"])
def test_scores_as_the_detector_does(fitted, parts, tmp_path, format):
    if format in ("onnx", "openvino"):
        pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[format])
    path = tmp_path / PATHS[format]
    found = export.export(fitted, format, path, given=parts / "test")
    assert found["pictures"] == 20 and found["largest_difference"] < 1e-5 and found["verdicts_changed"] == 0
    arrays = images.read_all(sorted((parts / "test" / "hole").glob("*.png")), 50)
    assert export.export(fitted, format, path, given=arrays)["pictures"] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        {path.name, *(["model.bin"] if format == "openvino" else [])}
    )


def test_int8_is_close_and_smaller_where_the_weights_are(fitted, parts, tmp_path):
    found = export.export(fitted, "litert", tmp_path / "m.tflite", int8=True)
    assert found["largest_difference"] > 1e-6  # it is another computation
    tested = fitted.inspect(parts / "test")
    score = export.write(fitted, "litert", tmp_path / "m.tflite", int8=True)
    pictures = images.read_all([f.name for f in tested], 96)
    rough = np.concatenate([score(p[None]) for p in pictures])
    labels = [f.label for f in tested]
    assert metrics.auroc(labels, rough) > metrics.auroc(labels, [f.score for f in tested]) - 0.05
    with pytest.raises(ValueError, match="for litert only"):
        export.export(fitted, "onnx", tmp_path / "m.onnx", int8=True)


def test_saved_model_endpoints(fitted, parts, saved_model):
    loaded = tf.saved_model.load(saved_model)
    assert {"score", "score_encoded", "similarity", "serving_default"} <= set(loaded.signatures)
    paths = sorted((parts / "test" / "hole").glob("*.png"))
    pictures = images.read_all(paths, 96)
    found = loaded.signatures["serving_default"](pictures=tf.constant(pictures))
    expected = fitted.inspect(paths)
    assert np.allclose(found["score"], [f.score for f in expected], atol=1e-6)
    assert np.allclose(found["confidence"], [f.confidence for f in expected], atol=1e-5)
    assert found["defective"].numpy().tolist() == [f.verdict == "defective" for f in expected]
    assert np.allclose(found["map"], [f.map for f in expected], atol=1e-6)
    both = loaded.signatures["similarity"](anchor=tf.constant(pictures[:1]), picture=tf.constant(pictures[1:]))
    expected = fitted.model([pictures[:1].astype(np.float32), pictures[1:].astype(np.float32)])[0, 0]
    assert np.allclose(both["dissimilarity"], expected, atol=1e-6) and np.allclose(
        both["similarity"], 1 - expected, atol=1e-6
    )


@pytest.mark.parametrize(("height", "width"), [(96, 96), (200, 150), (60, 70), (130, 80)])
def test_encoded_pictures_score_as_files_do(fitted, saved_model, rng, tmp_path, height, width):
    score = tf.saved_model.load(saved_model).signatures["score_encoded"]
    smooth = tf.image.resize(rng.uniform(0, 255, (9, 9, 4)), (height, width)).numpy().astype(np.uint8)
    Image.fromarray(smooth, "RGBA").save(tmp_path / "alpha.png")
    Image.fromarray(smooth[..., :3]).save(tmp_path / "colour.jpg", quality=95)
    Image.fromarray(smooth[..., 0]).save(tmp_path / "gray.png")
    for path in sorted(tmp_path.iterdir()):
        found = score(encoded=tf.constant([path.read_bytes()]))["score"].numpy()
        assert found == pytest.approx(fitted.score(path), abs=1e-4), path.name


def test_request_of_tensorflow_serving_fits_the_signature(fitted, parts, saved_model):
    """What the README sends, taken apart as the server does: each key of an instance is an input."""
    picture = parts / "test" / "hole" / "001.png"
    body = {"signature_name": "score_encoded",
            "instances": [{"encoded": {"b64": base64.b64encode(picture.read_bytes()).decode()}}]}  # fmt: skip
    received = json.loads(json.dumps(body))
    signature = tf.saved_model.load(saved_model).signatures[received["signature_name"]]
    ((name, spec),) = signature.structured_input_signature[1].items()
    assert [name] == list(received["instances"][0]) and spec.dtype == tf.string and spec.shape.rank == 1
    encoded = [base64.b64decode(instance[name]["b64"]) for instance in received["instances"]]
    assert signature(encoded=tf.constant(encoded))["score"].numpy() == pytest.approx(fitted.score(picture), abs=1e-4)


def test_an_export_that_scores_otherwise_is_refused_and_removed(fitted, tmp_path, monkeypatch):
    writer = importlib.import_module("fsad.export.litert")
    write = writer.write

    def off(*given):
        run = write(*given)
        return lambda pictures: run(pictures) + 0.01

    monkeypatch.setattr(writer, "write", off)
    with pytest.raises(export.ExportError, match=r"Received: 0.01 apart. Removed."):
        export.export(fitted, "litert", tmp_path / "m.tflite")
    assert not (tmp_path / "m.tflite").exists()


def test_refuses_unknown_formats_and_says_what_is_missing(fitted, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Expected a format among saved_model, onnx"):
        export.export(fitted, "pickle", tmp_path / "m")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(export.ExportError, match=r"pip install 'fsad\[export\]'"):
        export.export(fitted, "onnx", tmp_path / "m.onnx")
