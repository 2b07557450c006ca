import shutil
import types

import numpy as np
import pytest

from fsad import checks, images


def test_a_sound_folder(parts, monkeypatch):
    monkeypatch.delenv("FSAD_WEIGHTS_DIR", raising=False)
    found = checks.check(parts, progress=False)
    assert not found.bad and found.counts["good"] == 24 and found.sizes == {(96, 96): 38}
    assert "layout: MVTec AD" in found.text() and "all 96 x 96" in found.text()


def test_what_would_spoil_a_detector_is_found(parts, tmp_path):
    folder = shutil.copytree(parts, tmp_path / "set")
    good = folder / "train" / "good"
    shutil.copy(good / "000.png", folder / "test" / "hole" / "again.png")  # good and defective
    images.write(folder / "test" / "good" / "turned.png", images.read(good / "001.png"))  # train and test
    shutil.copy(good / "002.png", good / "twice.png")
    (good / "bad.png").write_text("text")
    (good / "notes.txt").write_text("text")
    odd = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    images.write(good / "odd.png", odd)
    found = checks.check(folder, progress=False)
    assert found.bad
    assert [sorted(g) for g in found.across_labels] == [["test/hole/again.png", "train/good/000.png"]]
    assert sorted(sorted(g) for g in found.across_sides) == [
        ["test/good/turned.png", "train/good/001.png"],
        ["test/hole/again.png", "train/good/000.png"],
    ]
    assert found.same == (["train/good/002.png", "train/good/twice.png"],)
    assert found.unreadable[0][0] == "train/good/bad.png" and found.passed_over[0][0] == "train/good/notes.txt"
    assert found.suspicious[0][0] == "train/good/odd.png" and "as usual" in found.suspicious[0][1]
    text = found.text()
    assert "1 cannot be read:" in text and "good AND defective: move" in text and text.endswith("Mend this first.")


def test_both_labels_of_a_group_are_among_the_first_names():
    group = [(f"{k}.png", types.SimpleNamespace(label=int(k > 0))) for k in range(6)]
    assert [name for name, _ in checks._alternating(group[::-1])][:2] == ["5.png", "0.png"]


def test_a_folder_without_labels(parts, tmp_path):
    shutil.copytree(parts / "train" / "good", tmp_path / "set")
    found = checks.check(tmp_path / "set", progress=False)
    assert found.counts == {"pictures": 18} and "No picture is labelled good" in found.text()
    with pytest.raises(FileNotFoundError, match="nothing there"):
        checks.check(tmp_path / "none")
