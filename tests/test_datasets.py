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
    assert found.summary() == (
        f"{tmp_path.name}: 3 pictures (1 cut, 2 good), MVTec AD layout, "
        "1 left out (first test/cut/notes.txt: not a picture by its ending .txt)"
    )


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


def test_exposures_of_one_tile_are_told_by_their_names(tmp_path):
    names = ["exp1_num_824", "exp2_num_834", "exp3_num_853", "exp1_num_855", "exp2_num_887", "exp4_num_889"]
    put(tmp_path, *(f"MT_Free/Imgs/{n}.jpg" for n in names), "MT_Crack/Imgs/exp5_num_2000.jpg")
    part = {s.path.stem: s.part for s in datasets.load(tmp_path).samples}
    # Two tiles whose exposures interleave, and one alone, too far on.
    assert [part[n] for n in names] == [names[0], names[0], names[0], names[3], names[3], names[0]]
    assert part["exp5_num_2000"] == "exp5_num_2000"


def test_good_defect_folders_with_types(tmp_path):
    put(tmp_path, "OK/1.png", "OK/2.png", "NG/scratch/1.png", "NG/hole/deep/1.png", "NG/loose.png")
    found = datasets.load(tmp_path)
    assert found.counts() == {"defect": 1, "good": 2, "hole": 1, "scratch": 1}
    assert {s.kind for s in found.samples if not s.label} == {"good"}


@pytest.mark.parametrize("good", ["good", "Good", "OK", "normal"])
def test_what_is_named_good_is_good_in_every_layout(tmp_path, good):
    put(tmp_path / "types", f"{good}/1.png", "crack/1.png", "Zinc/1.png", ".ipynb_checkpoints/1.png")
    put(tmp_path / "mvtec", f"train/{good}/1.png", f"test/{good}/1.png", "test/crack/1.png", "train/.cache/1.png")
    put(tmp_path / "marble", f"train/{good}/1.png", "train/dot/1.png", f"test/{good}/1.png", "test/dot/1.png")
    layouts = {}
    for name in ("types", "mvtec", "marble"):
        found = datasets.load(tmp_path / name)
        layouts[name] = found.layout
        assert all((s.label == 0) == (s.path.parent.name == good) == (s.kind == "good") for s in found.samples)
    assert layouts == {"types": "good/defect", "mvtec": "MVTec AD", "marble": "marble"}


def test_a_folder_of_several_data_sets_is_refused(tmp_path):
    put(tmp_path, "leather/train/good/1.png", "leather/ground_truth/cut/1_mask.png", "tile/train/good/1.png")
    with pytest.raises(ValueError, match="a folder of several; choose one, such as leather"):
        datasets.load(tmp_path)
    put(tmp_path / "two", "flowers/rose/1.png", "tiles/MT_Free/Imgs/1.jpg")
    with pytest.raises(ValueError, match="a folder of several; choose one, such as flowers"):
        datasets.load(tmp_path / "two")


def test_masks_beside_good_and_defect_are_no_defect_type(tmp_path):
    put(tmp_path, "good/1.png", "defect/1.png", "masks/1.png")
    found = datasets.load(tmp_path)
    assert found.counts() == {"defect": 1, "good": 1}
    assert [(p.name, r) for p, r in found.skipped] == [("masks", "masks are read in the MVTec AD layout only")]


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


def test_classes_know_listings_and_masks(tmp_path):
    put(tmp_path, "bath/berlin_77_1.png", "bath/berlin_78_1.png", "bed/berlin_77_2.png", "bed/120_3.png",
        "masks/bed/120_3_mask.png")  # fmt: skip
    found = datasets.load(tmp_path)
    assert found.layout == "classes" and found.counts() == {"bath": 2, "bed": 2}
    parts = {s.path.name: s.part for s in found.samples}
    listings = {"berlin_77_1.png": "berlin_77", "berlin_77_2.png": "berlin_77", "berlin_78_1.png": "berlin_78"}
    assert parts == {**listings, "120_3.png": None}
    assert [s.path.name for s in found.samples if s.mask] == ["120_3.png"]
