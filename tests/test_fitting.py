import cv2
import numpy as np
import pytest

import fsad
from fsad import backbones, fitting
from fsad.images import read_images, write_image
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


def test_a_backbone_that_was_asked_for_is_not_replaced(parts, offline):
    for asked in ({"backbone": "mobilenet"}, {"layers": ["conv_pw_5_relu"]}):
        with pytest.raises(WeightsError, match="MobileNet"):
            fsad.Detector(side=96, **asked).fit(parts / "train" / "good", progress=False)


def test_settings_out_of_range_are_refused():
    images = np.zeros((2, 20, 20, 3), np.uint8)
    with pytest.raises(ValueError, match="sides of at least 32"):
        fsad.Detector(side=8).fit(images, progress=False)
    with pytest.raises(ValueError, match=r"Expected a number as max_references. Received: '3'"):
        fsad.Detector(max_references="3")
    with pytest.raises(ValueError, match=r"Expected a number as epochs. Received: '20'"):
        fsad.Detector("senarathna", epochs="20").fit(images[:1], images[1:], progress=False)
    with pytest.raises(ValueError, match=r"miss rate. Received: none"):
        fsad.Detector(miss_rate=0.1, backbone="filter_bank").fit(images, progress=False)


def test_good_images_that_change_in_the_order_given_are_told(parts):
    images = read_images(sorted((parts / "train" / "good").glob("*.png"))[:12], 96)
    blurred = [cv2.GaussianBlur(image, (0, 0), 0.3 + 0.1 * k) for k, image in enumerate(images)]  # out of focus, slowly
    for given, changed in ((images, False), (blurred, True)):
        detector = fsad.Detector(backbone="filter_bank", side=96).fit(given, progress=False)
        assert any("first and the last" in text for text in detector.fitted.warnings) == changed


def test_thinned_references_hold_out_as_a_new_image_is_compared(rng, tmp_path):
    """Parts of one layout, of whose patches a quarter is kept: new good images score as those held out do."""
    layout = cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)
    images = np.clip(layout + rng.normal(0, 45, (24, 96, 96, 3)), 0, 255).astype(np.uint8)
    paths = [tmp_path / f"{k}.png" for k in range(24)]
    for path, image in zip(paths, images, strict=True):
        write_image(path, image)
    detector = fsad.Detector(backbone="filter_bank", side=96, max_patches=72, group_pattern=".+")
    detector.fit(paths[:8], progress=False)
    assert detector.fitted.references.shape[:3] == (8, 1, 9) and detector.fitted.places.shape == (8, 9, 2)
    scores = detector.score(paths[8:])
    assert abs(scores.mean()) < 1.4, scores  # nearly 2 below, if held-out ones had the holes of what was left out
