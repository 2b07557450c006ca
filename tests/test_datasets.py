import numpy as np
import pytest

from fsad import datasets, images, synthetic


def put(folder, *names):
    for k, name in enumerate(names):
        images.write(folder / name, np.random.default_rng([k, len(name)]).integers(0, 255, (16, 16, 3), np.uint8))


def test_mvtec_layout(tmp_path):
    put(tmp_path, "train/good/000.png", "test/good/000.png", "test/cut/000.png", "ground_truth/cut/000_mask.png")
    (tmp_path / "test/cut/notes.txt").write_text("x")
    found = datasets.load(tmp_path)
    assert found.layout == "MVTec AD" and found.counts() == {"cut": 1, "good": 2}
    cut = next(s for s in found.samples if s.kind == "cut")
    assert cut.label == 1 and cut.mask == tmp_path / "ground_truth/cut/000_mask.png"
    assert [(p.name, r) for p, r in found.skipped] == [("notes.txt", "not a picture by its ending .txt")]
    assert "1 files skipped" in found.summary()


def test_marble_layout(tmp_path):
    put(
        tmp_path,
        *(f"{part}/{kind}/0.jpg.png" for part in ("train", "test") for kind in ("good", "crack", "dot", "joint")),
    )
    found = datasets.load(tmp_path)
    assert found.layout == "marble" and found.counts() == {"crack": 2, "dot": 2, "good": 2, "joint": 2}
    assert [s.label for s in found.samples if s.kind == "joint"] == [1, 1]


def test_magnetic_tile_layout(tmp_path):
    put(tmp_path, "MT_Free/Imgs/a.jpg", "MT_Free/Imgs/a.png", "MT_Crack/Imgs/b.jpg", "MT_Crack/Imgs/b.png")
    found = datasets.load(tmp_path)
    assert found.counts() == {"crack": 1, "good": 1}
    assert {s.kind: s.mask and s.mask.name for s in found.samples} == {"good": None, "crack": "b.png"}


def test_good_defect_folders_with_types(tmp_path):
    put(tmp_path, "OK/1.png", "OK/2.png", "NG/scratch/1.png", "NG/hole/deep/1.png", "NG/loose.png", "other/1.png")
    found = datasets.load(tmp_path)
    assert found.counts() == {"defect": 1, "good": 2, "hole": 1, "scratch": 1}
    assert [p.name for p, _ in found.skipped] == ["other"]


def test_class_folders(tmp_path):
    put(tmp_path, "rose/1.png", "tulip/1.png", "tulip/2.png")
    assert [(s.kind, s.label) for s in datasets.load(tmp_path).samples] == [("rose", 0), ("tulip", 1), ("tulip", 1)]


def test_what_is_no_data_set_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        datasets.load(tmp_path / "nowhere")
    (tmp_path / "only").mkdir()
    with pytest.raises(ValueError, match="one folder a class"):
        datasets.load(tmp_path)
    (tmp_path / "second").mkdir()
    with pytest.raises(ValueError, match="Received: none"):
        datasets.load(tmp_path)


def test_unreadable_pictures_are_skipped_with_their_reason(tmp_path):
    put(tmp_path, "good/1.png", "good/2.png", "defect/1.png")
    (tmp_path / "good/2.png").write_bytes(b"")
    found = datasets.with_groups(datasets.load(tmp_path))
    assert found.counts() == {"defect": 1, "good": 1}
    assert [(p.name, "0 bytes" in r) for p, r in found.skipped] == [("2.png", True)]


def test_synthetic_set_is_listed_whole(tmp_path):
    folder = synthetic.write(tmp_path / "metal", "metal", good=8, defective=1, size=64)
    found = datasets.load(folder)
    assert found.layout == "MVTec AD" and found.counts()["good"] == 8
    assert all((s.mask is not None) == bool(s.label) for s in found.samples)
