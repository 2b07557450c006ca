import logging

import cv2
import numpy as np
import pytest

import fsad
from fsad import backbones, fitting
from fsad.images import read_images
from fsad.weights import WeightsError


def test_a_held_out_score_does_not_see_the_image(fitted):
    record = fitted.fitted.training[0]
    assert record["reference"] == 0
    assert fitted.score(record["name"])[0] < record["score"] - 1  # it is a reference itself


def test_works_without_defective_images_and_from_arrays(parts):
    good = read_images(sorted((parts / "train" / "good").glob("*.png"))[:6], 96)
    detector = fsad.Detector(backbone="filter_bank", side=96).fit(good, progress=False)
    assert detector.threshold.defective == () and len(detector.threshold.good) == 6
    assert detector.score(parts / "test" / "hole").min() > detector.threshold.value


def test_more_good_images_than_references_or_than_are_read(parts, monkeypatch):
    monkeypatch.setattr(fitting, "MAX_IMAGES", 17)
    detector = fsad.Detector(backbone="filter_bank", side=96, max_references=5)
    detector.fit(parts / "train" / "good", progress=False)
    assert len(detector.fitted.references) == 5 and len(detector.threshold.good) == 17
    assert "Using a random 17 of 18 good images." in detector.fitted.warnings


def test_without_a_download_the_weights_of_a_package_are_used_and_said(monkeypatch):
    def refuse(title, files, download):
        raise WeightsError("no network")

    monkeypatch.setattr(backbones, "find_or_download", refuse)
    recipe, settings = fitting.build("patches", {"side": 64}, [], warnings := [])
    assert recipe.weights == "imagenet" and settings["backbone"] == "efficientnet_lite0"
    assert "EfficientNet-Lite0 is used instead" in warnings[0]


def test_without_any_weights_the_filter_bank_is_used_and_said(parts, offline):
    detector = fsad.Detector(side=96).fit(parts / "train" / "good", progress=False)
    assert detector.fitted.weights == "fixed"
    assert fitting.NO_WEIGHTS["patches"].format("Filter bank") in detector.fitted.warnings
    options = {"backbone": "mobilenet", "position": None, "branch_weight": 0.0, "side": 32}
    recipe, settings = fitting.build("takimoto", options, [], warnings := [])
    assert recipe.weights == "random" and settings["weights"] == "none" and warnings == [fitting.NO_WEIGHTS["trained"]]


@pytest.mark.parametrize(
    ("good", "message"),
    [("test", "which its folder says is color"), ("train/good/000.png", "Received: 1 images, all near-dup")],
)
def test_refuses_to_fit(parts, good, message):
    with pytest.raises(ValueError, match=message):
        fsad.Detector(backbone="filter_bank", side=96).fit(parts / good, progress=False)


def test_settings_out_of_range_are_refused():
    images = np.zeros((2, 20, 20, 3), np.uint8)
    with pytest.raises(ValueError, match="sides of at least 32"):
        fsad.Detector(side=8).fit(images, progress=False)
    with pytest.raises(ValueError, match=r"miss rate. Received: none"):
        fsad.Detector(miss_rate=0.1, backbone="filter_bank").fit(images, progress=False)


def test_the_same_image_as_good_and_as_defective_is_reported(parts, caplog):
    same = parts / "train" / "good" / "000.png"
    with caplog.at_level(logging.WARNING):
        fsad.Detector(backbone="filter_bank", side=96).fit(parts / "train" / "good", same, progress=False)
    assert "labelled both good and defective" in caplog.text


def test_fewer_than_twenty_images_of_one_outline_are_still_different_parts(rng, caplog):
    y, x = np.mgrid[-48:48, -48:48]
    ring = 255 * ((np.hypot(x, y) > 20) & (np.hypot(x, y) < 40))[..., None]
    images = np.clip(ring + rng.normal(0, 12, (8, 96, 96, 1)), 0, 255).astype(np.uint8).repeat(3, -1)
    detector = fsad.Detector(backbone="filter_bank", side=96).fit(images, progress=False)
    assert len(detector.threshold.good) == 8 and "each is treated as a separate part" in caplog.text


def test_good_images_that_change_in_the_order_given_are_told(parts):
    images = read_images(sorted((parts / "train" / "good").glob("*.png"))[:12], 96)
    blurred = [cv2.GaussianBlur(image, (0, 0), 0.3 + 0.1 * k) for k, image in enumerate(images)]  # out of focus, slowly
    for given, changed in ((images, False), (blurred, True)):
        detector = fsad.Detector(backbone="filter_bank", side=96).fit(given, progress=False)
        assert any("first and the last" in text for text in detector.fitted.warnings) == changed
