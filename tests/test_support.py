import logging
import shutil

import numpy as np
import pytest

import fsad
from fsad import support


def test_more_good_images_than_references_or_than_are_read(parts, monkeypatch):
    monkeypatch.setattr(support, "MAX_IMAGES", 17)
    detector = fsad.Detector(backbone="filter_bank", side=96, max_references=5)
    detector.fit(parts / "train" / "good", progress=False)
    assert len(detector.fitted.references) == 5 and len(detector.threshold.good) == 17
    assert "Using a random 17 of 18 good images." in detector.fitted.warnings


@pytest.mark.parametrize(
    ("good", "message"),
    [("test", "which its folder says is color"), ("train/good/000.png", "Received: 1 images, all near-dup")],
)
def test_refuses_to_fit(parts, good, message):
    with pytest.raises(ValueError, match=message):
        fsad.Detector(backbone="filter_bank", side=96).fit(parts / good, progress=False)


def test_the_same_image_as_good_and_as_defective_is_reported(parts, tmp_path, caplog):
    same = parts / "train" / "good" / "000.png"
    with pytest.raises(ValueError, match=r"Received: 1 as both, such as .*000\.png"):
        fsad.Detector(backbone="filter_bank", side=96).fit(parts / "train" / "good", same, progress=False)
    same = shutil.copy(same, tmp_path / "again.png")
    with caplog.at_level(logging.WARNING):
        fsad.Detector(backbone="filter_bank", side=96).fit(parts / "train" / "good", same, progress=False)
    assert "labelled both good and defective" in caplog.text


def test_fewer_than_twenty_images_of_one_outline_are_still_different_parts(rng, caplog):
    y, x = np.mgrid[-48:48, -48:48]
    ring = 255 * ((np.hypot(x, y) > 20) & (np.hypot(x, y) < 40))[..., None]
    images = np.clip(ring + rng.normal(0, 12, (8, 96, 96, 1)), 0, 255).astype(np.uint8).repeat(3, -1)
    detector = fsad.Detector(backbone="filter_bank", side=96).fit(images, progress=False)
    assert len(detector.threshold.good) == 8 and "each is treated as a separate part" in caplog.text
