import json

import cv2
import numpy as np
import pytest

import fsad
from fsad import cli, export, roi
from fsad.images import read_images
from fsad.nearest_patch import NearestPatch


def test_files_by_hand(tmp_path):
    (tmp_path / "box.json").write_text('{"box": [1, 2, 3, 2]}')
    expected = np.zeros((6, 8), bool)
    expected[2:4, 1:4] = True
    assert np.array_equal(roi.read(tmp_path / "box.json", (8, 6)), expected)
    (tmp_path / "double.json").write_text('{"box": [1, 2, 3, 2], "size": [8, 6]}')  # of images of another size
    assert np.array_equal(roi.read(tmp_path / "double.json", (80, 60)), expected)
    (tmp_path / "polygon.json").write_text('{"polygon": [[0, 0], [80, 0], [80, 30], [0, 30]]}')
    assert roi.read(tmp_path / "polygon.json", (80, 60)).mean() == pytest.approx(0.5, abs=0.03)
    large = np.kron(expected, np.ones((4, 4), bool))
    cv2.imwrite(str(tmp_path / "mask.png"), large.astype(np.uint8) * 255)
    assert np.array_equal(roi.read(tmp_path / "mask.png", None), large)


def test_run_lengths_there_and_back(rng):
    mask = rng.uniform(size=(20, 30)) < 0.5
    assert np.array_equal(roi.decode(json.loads(json.dumps(roi.encode(mask)))), mask)
    assert roi.encode(np.array([[False, True, True], [False, False, True]]))["runs"] == [1, 2, 2, 1]
    assert roi.decode(roi.encode(np.ones((1000, 500), bool))).shape == (256, 128)


@pytest.mark.parametrize(
    "values", [{}, {"size": [2, 2], "runs": [3]}, {"size": [999, 999], "runs": [1]}, {"size": "no"}]
)
def test_what_is_no_region_is_refused(values, tmp_path):
    with pytest.raises(ValueError, match="Expected a region of interest as run lengths"):
        roi.decode(values)


@pytest.mark.parametrize("content", ['{"circle": 3}', '{"box": [1, 2]}', '{"polygon": [[1, 2], [3, 4]]}', "no", "[]"])
def test_what_is_no_shape_is_refused(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a.json: expected \{.box"):
        roi.read(tmp_path / "a.json", (9, 9))


def test_only_what_is_inside_counts(rng):
    inside = np.zeros((6, 6), int)
    inside[:, :3] = 1
    layer = NearestPatch([4], fractions=0.1, smoothing=1.0, roi=inside.tolist())
    layer.build([(None, 6, 6, 4)] * 2)
    maps = rng.uniform(0.1, 0.2, (1, 6, 6, 1)).astype(np.float32)
    outside, within = maps.copy(), maps.copy()
    outside[0, 3, 4], within[0, 3, 1] = 0.9, 0.9
    score = float(layer.score(maps)[0])
    assert float(layer.score(outside)[0]) == pytest.approx(score, abs=1e-6) and float(layer.score(within)[0]) > score
    anomaly_map = np.asarray(layer.anomaly_map(outside))[0]
    assert np.all(anomaly_map[:, 3:] == anomaly_map[:, :3].min())


@pytest.mark.slow
def test_a_detector_confined_to_a_half_is_saved_and_exported(parts, tmp_path):
    (tmp_path / "left.json").write_text('{"box": [0, 0, 48, 96]}')
    detector = fsad.Detector(backbone="filter_bank", side=96, roi=tmp_path / "left.json")
    detector.fit(parts / "train" / "good", progress=False)
    images = read_images(sorted((parts / "test").glob("*/*.png")), 96)
    changed = images.copy()
    changed[:, :, 72:] = 0  # far outside
    scores = detector.score(images)
    assert np.allclose(detector.score(changed), scores, atol=1e-4)
    assert all(region.box[0] < 56 for p in detector.inspect(images) for region in p.regions or ())
    assert np.allclose(fsad.load(detector.save(tmp_path / "detector")).score(images), scores, atol=1e-3)
    assert export.export(detector, "onnx", tmp_path / "model.onnx")["largest_difference"] < 1e-3


def test_fsad_roi_draws_it(parts, tmp_path, capsys):
    (tmp_path / "a.json").write_text('{"box": [0, 0, 48, 96]}')
    image = str(parts / "test" / "hole" / "000.png")
    assert cli.main(["roi", str(tmp_path / "a.json"), image, f"--out={tmp_path / 'a.png'}"]) == 0
    assert "50% of the image counts" in capsys.readouterr().out
    drawn, before = cv2.imread(str(tmp_path / "a.png")), cv2.imread(image)
    assert (
        np.array_equal(drawn[10:80, 10:40], before[10:80, 10:40]) and drawn[:, 60:].mean() < before[:, 60:].mean() / 2
    )
