import shutil

import numpy as np
import pytest

from fsad import evaluation, images, metrics


def test_figures_are_those_of_the_pictures_not_used_to_fit(fitted, parts):
    found = fitted.evaluate(parts, progress=False)
    assert found["pictures"]["good"] == 6 and sum(found["pictures"].values()) == 6 + 7
    assert len(found["left_out"]) == 18 + 7
    tested = [f for f in fitted.inspect(parts / "test") if not f.name.endswith("000.png")]
    labels, scores = np.array([f.label for f in tested]), np.array([f.score for f in tested])
    assert found["auroc"] == pytest.approx(metrics.auroc(labels, scores))
    assert found["confusion"] == metrics.confusion(labels, scores > fitted.threshold.value)
    counts = found["confusion"]
    assert found["recall"] == pytest.approx(counts["tp"] / 7)
    for name in evaluation.NAMES:
        low, high = found["intervals"][name]
        assert low <= found[name] <= high
    assert set(found["auroc_by_kind"]) == set(found["pictures"]) - {"good"}
    assert 0.5 < found["pixel_auroc"] <= 1


def test_copies_of_training_pictures_are_left_out_whatever_they_are_called(fitted, parts, tmp_path):
    shutil.copytree(parts / "test", tmp_path / "set")
    darker = (images.read(parts / "train" / "good" / "000.png") * 0.8).astype(np.uint8)
    images.write(tmp_path / "set" / "good" / "new.png", darker)
    (tmp_path / "set" / "good" / "bad.png").write_text("text")
    left_out = dict(fitted.evaluate(tmp_path / "set", progress=False)["left_out"])
    assert "fitted with" in left_out[str(tmp_path / "set" / "good" / "new.png")]
    assert "not a PNG" in left_out[str(tmp_path / "set" / "good" / "bad.png")]


def test_needs_labels_of_both_kinds(fitted, parts, tmp_path):
    with pytest.raises(ValueError, match="no label for"):
        fitted.evaluate(parts / "test" / "hole", progress=False)
    shutil.copytree(parts / "train" / "good", tmp_path / "good")  # all known to the detector
    shutil.copytree(parts / "test" / "hole", tmp_path / "hole")
    with pytest.raises(ValueError, match="Received: 0 good and 1 defective"):
        fitted.evaluate(tmp_path, progress=False)
