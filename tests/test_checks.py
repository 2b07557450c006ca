import shutil

import numpy as np
import pytest

from fsad import checks
from fsad.images import read_image, write_image
from fsad.inputs import Sample


def test_a_sound_folder(parts, offline):
    report = checks.check(parts, progress=False)
    assert not report.bad and report.counts["good"] == 24 and report.sizes == {(96, 96): 38}
    assert "layout: MVTec AD" in report.text() and "all 96 x 96" in report.text()


def test_what_would_spoil_a_detector_is_reported(parts, tmp_path, offline):
    folder = shutil.copytree(parts, tmp_path / "set")
    good = folder / "train" / "good"
    shutil.copy(good / "000.png", folder / "test" / "hole" / "again.png")  # good and defective
    write_image(folder / "test" / "good" / "turned.png", read_image(good / "001.png"))  # train and test
    shutil.copy(good / "002.png", good / "twice.png")
    (good / "bad.png").write_text("text")
    (good / "notes.txt").write_text("text")
    write_image(good / "odd.png", np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8))
    report = checks.check(folder, progress=False)
    assert report.bad
    assert [sorted(g) for g in report.across_labels] == [["test/hole/again.png", "train/good/000.png"]]
    assert sorted(sorted(g) for g in report.across_sides) == [
        ["test/good/turned.png", "train/good/001.png"],
        ["test/hole/again.png", "train/good/000.png"],
    ]
    assert [sorted(g) for g in report.same] == [["train/good/002.png", "train/good/twice.png"]]
    assert report.unreadable[0][0] == "train/good/bad.png" and report.skipped[0][0] == "train/good/notes.txt"
    assert report.suspicious[0][0] == "train/good/odd.png" and "deviations above" in report.suspicious[0][1]
    text = report.text()
    assert "Taken as defective: color, cut" in text and "Masks: for 14 of 15 defective images" in text
    assert "1 unreadable:" in text and "good AND defective: move" in text and text.endswith("Fix these before fitting.")


@pytest.mark.slow
def test_light_that_differs_between_folders_is_told(parts, tmp_path, offline):
    folder = shutil.copytree(parts, tmp_path / "set")
    for path in (folder / "test").rglob("*.png"):
        write_image(path, np.clip(read_image(path) * 0.6, 0, 255).astype(np.uint8))
    report = checks.check(folder, progress=False)
    colours = dict(report.colours)
    assert colours["train/good from test/good"] > 0.9 and set(colours) == {
        "train/good from test/good",
        "good from defective",
    }
    assert "check that both were photographed alike" in report.text() and not report.bad


@pytest.mark.slow
def test_items_may_be_good_and_defective_but_not_in_train_and_test(parts, tmp_path, offline):
    folder = tmp_path / "set"
    for k, path in enumerate(sorted((parts / "train" / "good").glob("*.png"))[:10]):
        write_image(folder / "train" / "good" / f"item{k}_face1.png", read_image(path))
    for k, path in enumerate(sorted((parts / "test" / "hole").glob("*.png"))[:1]):
        write_image(folder / "test" / "hole" / f"item{k}_face2.png", read_image(path))
    report = checks.check(folder, progress=False, group_pattern="item[0-9]+")
    assert report.across_sides == (["train/good/item0_face1.png", "test/hole/item0_face2.png"],)
    assert not report.across_labels and not checks.check(folder, progress=False).bad


@pytest.mark.slow
def test_parts_known_by_name_may_look_alike(parts, tmp_path, offline):
    for folder in ("good", "defect"):
        for k in range(4):
            write_image(tmp_path / folder / f"{k}.png", read_image(parts / "train" / "good" / "000.png"))
    assert checks.check(tmp_path, progress=False).across_labels
    report = checks.check(tmp_path, progress=False, group_pattern=".+")
    assert not report.bad and not report.same


def test_both_labels_of_a_group_are_among_the_first_names(tmp_path):
    group = [Sample(tmp_path / f"{k}.png", int(k > 0)) for k in range(6)]
    assert [s.path.name for s in checks._alternating(group[::-1])][:2] == ["5.png", "0.png"]


def test_a_folder_without_labels(parts, tmp_path):
    shutil.copytree(parts / "train" / "good", tmp_path / "set")
    report = checks.check(tmp_path / "set", progress=False)
    assert report.counts == {"unlabelled": 18} and "No image is labelled good" in report.text()
    with pytest.raises(FileNotFoundError, match="no such folder"):
        checks.check(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no image in it"):
        checks.check(tmp_path / "empty")
