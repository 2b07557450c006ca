import shutil

import numpy as np
import pytest

from fsad import Detector, evaluation, load, metrics
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


def test_other_faces_of_a_known_item_are_left_out_by_its_name(tmp_path, parts):
    """Images of the same parts, mirrored, which near-duplicates do not find, under names of six items."""
    for k, path in enumerate(sorted((parts / "train" / "good").glob("*.png"))[:12]):
        write_image(tmp_path / "fit" / f"item{k // 2}_{k}.png", read_image(path))
        write_image(tmp_path / "test" / "good" / f"item{k // 2 + 3}_{k}.png", read_image(path)[:, ::-1])
    for path in sorted((parts / "test" / "hole").glob("*.png")):
        write_image(tmp_path / "test" / "hole" / f"item9_{path.name}", read_image(path))
    detector = Detector(backbone="filter_bank", group_pattern="item[0-9]+").fit(tmp_path / "fit", progress=False)
    assert {record["part"] for record in detector.fitted.training} == {f"item{k}" for k in range(6)}
    detector.save(tmp_path / "detector")
    result = load(tmp_path / "detector").evaluate(tmp_path / "test", progress=False)
    left_out = {name.split("/")[-1].split("_")[0] for name, reason in result["left_out"] if "fitted with" in reason}
    assert left_out == {"item3", "item4", "item5"} and result["images"]["good"] == 6


def test_needs_labels_of_both_kinds(fitted, parts, tmp_path):
    with pytest.raises(ValueError, match="no label for"):
        fitted.evaluate(parts / "test" / "hole", progress=False)
    shutil.copytree(parts / "train" / "good", tmp_path / "good")  # the detector has seen all of them
    shutil.copytree(parts / "test" / "hole", tmp_path / "hole")
    with pytest.raises(ValueError, match="Received: 0 good and 1 defective"):
        fitted.evaluate(tmp_path, progress=False)


def test_even_surfaces_are_treated_as_the_fit_treats_them(tmp_path, rng):
    """They all pass for near-duplicates of each other; nothing but the same file is a part seen before."""

    def surface(spot=False):
        image = pattern + rng.normal(0, 2, (96, 96, 3))
        image[30:40, 30:40] *= 0.3 if spot else 1
        return np.clip(image, 0, 255).astype(np.uint8)

    pattern = np.repeat(rng.uniform(60, 200, (96, 96, 1)), 3, axis=2)  # rough, the same on each

    for k in range(12):  # of 20 and more, what is common to all would not count
        write_image(tmp_path / "fit" / f"{k}.png", surface())
    for k in range(6):
        write_image(tmp_path / "test" / "good" / f"{k}.png", surface())
        write_image(tmp_path / "test" / "bad" / f"{k}.png", surface(spot=True))
    shutil.copy(tmp_path / "fit" / "0.png", tmp_path / "test" / "good" / "copy.png")
    detector = Detector(backbone="filter_bank", side=96).fit(tmp_path / "fit", progress=False)
    assert any("each is treated as a separate part" in t for t in detector.fitted.warnings), detector.fitted.warnings
    result = detector.evaluate(tmp_path / "test", progress=False)
    assert result["alike"] and result["images"] == {"defect": 6, "good": 6} and result["parts"] == 12
    assert [name.split("/")[-1] for name, _ in result["left_out"]] == ["copy.png"]
