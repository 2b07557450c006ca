import itertools
import os

import cv2
import numpy as np
import pytest

from fsad import inputs
from fsad.images import ImageError, write_image
from fsad.inputs import Sample


def put(folder, *names):
    """Writes an image of its own under each name."""
    for k, name in enumerate(names):
        write_image(folder / name, np.random.default_rng([k, len(name)]).integers(0, 255, (16, 16, 3), np.uint8))


def labels(folder):
    """Labels of what stands for a folder, by path below it, in order."""
    return {sample.path.relative_to(folder).as_posix(): sample.label for sample in inputs.find(folder)}


def test_mvtec_layout(tmp_path):
    put(tmp_path, "train/good/000.png", "test/good/000.png", "test/cut/000.png", "ground_truth/cut/000_mask.png")
    (tmp_path / "test/cut/notes.txt").write_text("x")
    dataset = inputs.load(tmp_path)
    assert dataset.layout == "MVTec AD" and dataset.counts() == {"cut": 1, "good": 2}
    assert [s.path.parts[-3:-1] for s in dataset.samples] == [("train", "good"), ("test", "cut"), ("test", "good")]
    defective = dataset.samples[1]
    assert defective.mask == tmp_path / "ground_truth/cut/000_mask.png"
    assert (defective.kind, defective.label, defective.folder) == ("cut", 1, tmp_path)
    assert [(path.name, reason) for path, reason in dataset.skipped] == [("notes.txt", "not an image extension: .txt")]
    assert dataset.summary() == (
        f"{tmp_path.name}: 3 images (1 cut, 2 good), MVTec AD layout, "
        "1 left out (first test/cut/notes.txt: not an image extension: .txt)"
    )


def test_marble_layout(tmp_path):
    kinds = ("good", "crack", "dot", "joint")
    put(tmp_path, *(f"{part}/{kind}/0.jpg.png" for part in ("train", "test") for kind in kinds))
    dataset = inputs.load(tmp_path)
    assert dataset.layout == "marble" and dataset.counts() == {"crack": 2, "dot": 2, "good": 2, "joint": 2}
    assert [s.label for s in dataset.samples if s.kind == "joint"] == [1, 1]


def test_magnetic_tile_layout(tmp_path):
    put(tmp_path, "MT_Free/Imgs/a.jpg", "MT_Free/Imgs/a.png", "MT_Crack/Imgs/b.jpg", "MT_Crack/Imgs/b.png",
        "MT_Crack/Imgs/c.png")  # fmt: skip
    dataset = inputs.load(tmp_path)
    assert dataset.counts() == {"crack": 1, "good": 1}
    assert {s.kind: s.mask and s.mask.name for s in dataset.samples} == {"good": None, "crack": "b.png"}
    assert [(path.name, reason) for path, reason in dataset.skipped] == [("c.png", "a mask without its .jpg image")]


def test_exposures_of_one_tile_by_their_names(tmp_path):
    names = ["exp1_num_824", "exp2_num_834", "exp3_num_853", "exp1_num_855", "exp2_num_887", "exp4_num_889"]
    put(tmp_path, *(f"MT_Free/Imgs/{name}.jpg" for name in names), "MT_Crack/Imgs/exp5_num_2000.jpg")
    tile = {s.path.stem: s.group for s in inputs.load(tmp_path).samples}
    # Two tiles whose exposures interleave, and one alone, too far on.
    assert [tile[name] for name in names] == [names[k] for k in (0, 0, 0, 3, 3, 0)]
    assert tile["exp5_num_2000"] == "exp5_num_2000"


def test_good_defect_folders_with_types_and_masks(tmp_path):
    put(tmp_path, "OK/1.png", "OK/2.png", "NG/scratch/1.png", "NG/hole/deep/1.png", "NG/loose.png",
        "masks/scratch/1_mask.png")  # fmt: skip
    dataset = inputs.load(tmp_path)
    assert dataset.counts() == {"defect": 1, "good": 2, "hole": 1, "scratch": 1}
    assert {s.kind for s in dataset.samples if s.label == 0} == {"good"}
    assert {s.kind: s.mask.name for s in dataset.samples if s.mask} == {"scratch": "1_mask.png"}


@pytest.mark.parametrize("good", ["good", "Good", "OK", "normal"])
def test_what_is_named_good_is_good_in_every_layout(tmp_path, good):
    put(tmp_path / "types", f"{good}/1.png", "crack/1.png", "Zinc/1.png", ".ipynb_checkpoints/1.png")
    put(tmp_path / "mvtec", f"train/{good}/1.png", f"test/{good}/1.png", "test/crack/1.png", "train/.cache/1.png")
    put(tmp_path / "marble", f"train/{good}/1.png", "train/dot/1.png", f"test/{good}/1.png", "test/dot/1.png")
    layouts = {}
    for name in ("types", "mvtec", "marble"):
        dataset = inputs.load(tmp_path / name)
        layouts[name] = dataset.layout
        assert all((s.label == 0) == (s.path.parent.name == good) == (s.kind == "good") for s in dataset.samples)
    assert layouts == {"types": "good/defect", "mvtec": "MVTec AD", "marble": "marble"}


def test_class_folders_know_listings_and_masks(tmp_path):
    put(tmp_path, "bath/berlin_77_1.png", "bath/berlin_78_1.png", "bed/berlin_77_2.png", "bed/120_3.png",
        "masks/bed/120_3_mask.png")  # fmt: skip
    dataset = inputs.load(tmp_path)
    assert dataset.layout == "classes" and [(s.kind, s.label) for s in dataset.samples] == [
        ("bath", 0), ("bath", 0), ("bed", 1), ("bed", 1)]  # fmt: skip
    listings = {"berlin_77_1.png": "berlin_77", "berlin_77_2.png": "berlin_77", "berlin_78_1.png": "berlin_78"}
    assert {s.path.name: s.group for s in dataset.samples} == {**listings, "120_3.png": None}
    assert [s.path.name for s in dataset.samples if s.mask] == ["120_3.png"]
    assert set(labels(tmp_path).values()) == {None}  # classes do not tell good from defective


def test_a_folder_of_several_data_sets_is_refused(tmp_path):
    put(tmp_path / "mvtec", "leather/train/good/1.png", "leather/ground_truth/cut/1_mask.png", "tile/train/good/1.png")
    put(tmp_path / "mixed", "flowers/rose/1.png", "tiles/MT_Free/Imgs/1.jpg")
    for name, choice in (("mvtec", "leather"), ("mixed", "flowers")):
        with pytest.raises(ValueError, match=f"a folder of several; choose one, such as {choice}"):
            inputs.load(tmp_path / name)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        inputs.load(tmp_path / "nowhere")
    (tmp_path / "only").mkdir()
    with pytest.raises(ValueError, match=r"one folder per class. Received: folders \['only'\]"):
        inputs.load(tmp_path)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"in the classes layout. Received: none, and 1 other files"):
        inputs.load(tmp_path)


def test_groups_join_parts_and_near_duplicates_and_skip_unreadable_images(tmp_path):
    put(
        tmp_path,
        "MT_Free/Imgs/exp1_num_1.jpg",
        "MT_Free/Imgs/exp2_num_9.jpg",
        "MT_Free/Imgs/z.jpg",
        "MT_Crack/Imgs/b.jpg",
    )
    (tmp_path / "MT_Free/Imgs/copy.jpg").write_bytes((tmp_path / "MT_Free/Imgs/z.jpg").read_bytes())
    (tmp_path / "MT_Free/Imgs/empty.jpg").touch()
    steps = []
    dataset = inputs.with_groups(inputs.load(tmp_path), progress=steps.append)
    group = {s.path.stem: s.group for s in dataset.samples}
    assert (
        group["exp1_num_1"] == group["exp2_num_9"] and group["z"] == group["copy"] and set(group.values()) == {0, 1, 2}
    )
    assert [(path.name, "0 bytes" in reason) for path, reason in dataset.skipped] == [("empty.jpg", True)]
    assert steps == [1] * 6 and "5 images of 3 distinct parts (1 crack, 4 good)" in dataset.summary()


def test_a_pattern_finds_parts_and_takes_the_place_of_near_duplicates(tmp_path, rng):
    """One scene photographed four times, said to be two items; and two scenes said to be one."""
    scene = cv2.GaussianBlur(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8), (0, 0), 2)
    for name in ("good/kos1_a", "good/kos1_b", "good/kos2_a", "defect/kos2_b"):
        write_image(tmp_path / f"{name}.png", scene)
    write_image(tmp_path / "good" / "kos1_c.png", rng.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    for pattern in ("kos[0-9]", "kos([0-9])_"):
        dataset = inputs.with_groups(inputs.load(tmp_path, pattern), trusted=True)
        by_name = {s.path.stem: s.group for s in dataset.samples}
        assert by_name["kos1_a"] == by_name["kos1_b"] == by_name["kos1_c"] != by_name["kos2_a"] == by_name["kos2_b"]
    assert len({s.group for s in inputs.with_groups(inputs.load(tmp_path)).samples}) == 2  # by looks
    assert len({s.part for s in inputs.find(str(tmp_path), ".+")}) == 5
    assert dataset.colours.shape == (5, 6)


@pytest.mark.parametrize(("pattern", "message"), [("kos[", "a regular expression"), ("item", "to fit names such as")])
def test_a_pattern_that_cannot_be_is_refused(tmp_path, pattern, message):
    put(tmp_path, "good/kos1.png", "defect/kos2.png")
    with pytest.raises(ValueError, match=f"Expected group_pattern {message}|Expected group_pattern to be {message}"):
        inputs.load(tmp_path, pattern)


def test_files_folders_globs_samples_and_lists(parts):
    one, holes = parts / "test" / "hole" / "000.png", str(parts / "test" / "hole" / "*.png")
    (sample,) = inputs.find(one)
    assert sample.path == one and sample.label is None and sample.read().shape == (96, 96, 3)
    assert [s.name for s in inputs.find(holes)] == [holes.replace("*", name) for name in ("000", "001")]
    assert len(inputs.find([str(one), parts / "train" / "good"])) == 1 + 18
    labelled = Sample(one, label=1)
    assert inputs.find([labelled, holes])[0] is labelled


def test_a_folder_with_a_layout_gives_labels_and_its_masks_are_no_images(parts):
    samples = inputs.find(parts)
    assert len(samples) == 24 + 14 and sum(s.label for s in samples) == 14
    assert [*samples] == [*inputs.load(parts).samples]
    assert all((s.mask is not None and s.mask.is_file()) == (s.label == 1) for s in samples)


def test_a_folder_without_a_layout_gives_every_image_below(tmp_path):
    for name in ("b/2.png", "a.JPG", "a.png", ".hidden.png", "masks/m.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    os.symlink(tmp_path / "gone.png", tmp_path / "link.png")
    # a.png is the mask of a.JPG; the broken link: reading it says why.
    assert labels(tmp_path) == dict.fromkeys(["a.JPG", "b/2.png", "link.png"])


def test_images_beside_the_known_folders_are_unlabelled(tmp_path):
    put(tmp_path, "a.png", "good/c.png", "bad/d.png", "bad/deep/e.png")
    assert labels(tmp_path) == {"a.png": None, "bad/d.png": 1, "bad/deep/e.png": 1, "good/c.png": 0}
    assert [s.path.name for s in inputs.load(tmp_path).samples] == ["d.png", "e.png", "c.png"]


def test_look_lists_a_folder_whether_or_not_it_has_a_layout(tmp_path):
    put(tmp_path, "a.png", "good/b.png")
    assert inputs.look(tmp_path).layout is None
    put(tmp_path, "bad/c.png")
    dataset = inputs.look(tmp_path)
    assert dataset.layout == "good/defect" and [s.label for s in dataset.samples] == [None, 1, 0]


def test_arrays():
    stack, gray = np.zeros((2, 20, 30, 3), np.uint8), np.full((20, 20), 7, np.uint8)
    samples = inputs.find([stack, gray])
    assert [s.name for s in samples] == ["array 0", "array 1", "array 2"] and samples[0].path is None
    assert samples[0].read().shape == (20, 30, 3) and (samples[2].read() == np.full((20, 20, 3), 7)).all()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (np.zeros((20, 20, 3)), "Expected a uint8"),
        (np.ma.masked_array(np.zeros((20, 20, 3), np.uint8)), "without a mask"),
        (np.zeros((20, 20, 4), np.uint8), r"Received: \(20, 20, 4\)"),
        (np.zeros((2, 2, 3), np.uint8), "Expected RGB"),
        (7, "Received: int"),
    ],
)
def test_refuses_what_is_no_image(item, message):
    with pytest.raises(ValueError, match=message):
        inputs.find(item)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="Received: none"):
        inputs.find(tmp_path)
    with pytest.raises(FileNotFoundError, match="Received: none"):
        inputs.find(str(tmp_path / "*.png"))
    for name in ("a.pdf", "b.PDF", "c.txt"):
        (tmp_path / name).write_text("text")
    with pytest.raises(FileNotFoundError, match=r"Received: 2 \.pdf, 1 \.txt"):
        inputs.find(tmp_path)
    with pytest.raises(FileNotFoundError, match="Received: no such file or folder"):
        inputs.find(tmp_path / "incomming")
    (missing,) = inputs.find(tmp_path / "x.png")
    with pytest.raises(ImageError, match="no such file"):
        missing.read()


def test_read_ahead_reads_each_sample_once_in_order(tmp_path):
    put(tmp_path, "a.png", "c.png")
    (tmp_path / "b.png").touch()
    first, bad, last = inputs.read_ahead(inputs.find(tmp_path), side=8, signatures=True, images=True)
    assert [r.sample.path.name for r in (first, bad, last)] == ["a.png", "b.png", "c.png"]
    assert first.size == (16, 16) and first.resized.shape == (8, 8, 3) and first.signature.shape == (64, 64)
    assert first.colours.shape == (6,)
    assert (last.image == last.sample.read()).all() and last.error is None
    assert "0 bytes" in bad.error and bad[1:-1] == (None,) * 6  # all but sample and error
    assert next(inputs.read_ahead(inputs.find(tmp_path)))[1:] == ((16, 16), *[None] * 6)


def test_prefetch_is_in_order_and_at_most_some_items_ahead():
    taken = []
    numbers = (taken.append(k) or k for k in itertools.count())
    squares = inputs.prefetch(lambda k: k**2, numbers, ahead=2)
    assert [next(squares) for _ in range(3)] == [0, 1, 4] and taken == [0, 1, 2, 3, 4]
    squares.close()
    assert [*inputs.prefetch(str, [1, 2])] == ["1", "2"]


def test_prefetch_keeps_to_its_budget():
    taken = []
    numbers = (taken.append(k) or k for k in (3, 3, 3, 20, 1, 1))
    same = inputs.prefetch(lambda k: k, numbers, cost=lambda k: k, budget=7)
    assert next(same) == 3 and taken == [3, 3, 3]  # the third would be 9
    assert [*same] == [3, 3, 20, 1, 1]  # one alone may cost more


def test_linked_folders_are_followed_once(tmp_path):
    put(tmp_path / "elsewhere", "1.png", "2.png")
    put(tmp_path / "set", "crack/1.png")
    os.symlink(tmp_path / "elsewhere", tmp_path / "set" / "good")
    os.symlink(tmp_path / "set", tmp_path / "set" / "crack" / "loop")
    assert inputs.load(tmp_path / "set").counts() == {"crack": 1, "good": 2}


def test_a_png_beside_a_jpg_is_no_mask_where_folders_have_labels(tmp_path):
    put(tmp_path, "good/1.png", "crack/1.jpg", "crack/1.png")
    samples = inputs.load(tmp_path).samples
    assert len(samples) == 3 and not any(s.mask for s in samples)
