import shutil

import numpy as np
import pytest

from fsad import evaluation, metrics
from fsad.images import read_image, write_image


def test_figures_are_those_of_the_images_not_used_to_fit(fitted, parts):
    result = fitted.evaluate(parts, progress=False)
    assert result["images"]["good"] == 6 and sum(result["images"].values()) == 6 + 7
    assert len(result["left_out"]) == 18 + 7
    tested = [p for p in fitted.inspect(parts / "test") if not p.name.endswith("000.png")]
    labels, scores = np.array([p.sample.label for p in tested]), np.array([p.score for p in tested])
    assert result["auroc"] == pytest.approx(metrics.auroc(labels, scores))
    assert result["confusion"] == metrics.confusion(labels, scores > fitted.threshold.value)
    assert result["recall"] == pytest.approx(result["confusion"]["tp"] / 7)
    for name in evaluation.NAMES:
        low, high = result["intervals"][name]
        assert low <= result[name] <= high
    assert set(result["auroc_by_kind"]) == set(result["images"]) - {"good"}
    assert 0.5 < result["pixel_auroc"] <= 1


def test_copies_of_training_images_are_left_out_whatever_they_are_called(fitted, parts, tmp_path):
    shutil.copytree(parts / "test", tmp_path / "set")
    darker = (read_image(parts / "train" / "good" / "000.png") * 0.8).astype(np.uint8)
    write_image(tmp_path / "set" / "good" / "new.png", darker)
    (tmp_path / "set" / "good" / "bad.png").write_text("text")
    left_out = dict(fitted.evaluate(tmp_path / "set", progress=False)["left_out"])
    assert "fitted with" in left_out[str(tmp_path / "set" / "good" / "new.png")]
    assert "not a PNG" in left_out[str(tmp_path / "set" / "good" / "bad.png")]


def test_needs_labels_of_both_kinds(fitted, parts, tmp_path):
    with pytest.raises(ValueError, match="no label for"):
        fitted.evaluate(parts / "test" / "hole", progress=False)
    shutil.copytree(parts / "train" / "good", tmp_path / "good")  # the detector has seen all of them
    shutil.copytree(parts / "test" / "hole", tmp_path / "hole")
    with pytest.raises(ValueError, match="Received: 0 good and 1 defective"):
        fitted.evaluate(tmp_path, progress=False)
