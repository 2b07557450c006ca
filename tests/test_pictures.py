import os

import numpy as np
import pytest

from fsad import images, pictures


def test_files_folders_globs_and_lists(parts, tmp_path):
    one = parts / "test" / "hole" / "000.png"
    (found,) = pictures.find(one)
    assert found.source == one and found.label is None and found.read().shape == (96, 96, 3)
    assert [p.name for p in pictures.find(str(parts / "test" / "hole" / "*.png"))] == [
        str(parts / "test" / "hole" / name) for name in ("000.png", "001.png")
    ]
    assert len(pictures.find([one, parts / "train" / "good"])) == 1 + 18


def test_a_folder_with_a_layout_gives_labels_and_no_masks(parts):
    found = pictures.find(parts)
    assert len(found) == 24 + 14 and sum(p.label for p in found) == 14
    assert not any("ground_truth" in p.name for p in found)
    assert all(p.mask.exists() for p in found if p.label)


def test_a_folder_without_a_layout_gives_every_picture_below(tmp_path):
    for name in ("b/2.png", "a.JPG", "a.png", ".hidden.png", "masks/m.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    os.symlink(tmp_path / "gone.png", tmp_path / "link.png")
    names = [os.path.relpath(p.name, tmp_path).replace(os.sep, "/") for p in pictures.find(tmp_path)]
    assert names == ["a.JPG", "b/2.png", "link.png"]  # a.png is the mask of a.JPG; the broken link: reading it says why


def test_nothing_beside_the_known_folders_is_passed_over(tmp_path):
    for name in ("a.png", "good/c.png", "bad/d.png", "bad/deep/e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"?")
    found = {os.path.relpath(p.name, tmp_path).replace(os.sep, "/"): p.label for p in pictures.find(tmp_path)}
    assert found == {"a.png": None, "good/c.png": 0, "bad/d.png": 1, "bad/deep/e.png": 1}


def test_arrays():
    stack = np.zeros((2, 20, 30, 3), np.uint8)
    assert [p.name for p in pictures.find([stack, np.ones((20, 20), np.uint8)])] == ["array 0", "array 1", "array 2"]
    assert pictures.find(np.full((20, 20), 7, np.uint8))[0].read().tolist() == np.full((20, 20, 3), 7).tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((20, 20, 3)), "Expected a uint8"),
        (np.zeros((20, 20, 4), np.uint8), r"Received: \(20, 20, 4\)"),
        (np.zeros((2, 2, 3), np.uint8), "Expected RGB"),
        (7, "Received: int"),
    ],
)
def test_refuses(given, message):
    with pytest.raises(ValueError, match=message):
        pictures.find(given)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="Received: none"):
        pictures.find(tmp_path)
    with pytest.raises(FileNotFoundError, match="Received: none"):
        pictures.find(str(tmp_path / "*.png"))
    (missing,) = pictures.find(tmp_path / "x.png")
    with pytest.raises(images.ImageError, match="no such file"):
        missing.read()
