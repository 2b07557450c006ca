import cv2
import numpy as np
import pytest

from experiments import data
from fsad import inputs, splits
from fsad.images import write_image
from fsad.inputs import Sample


def test_folders_and_names_below_the_data_folder(tmp_path, monkeypatch):
    (tmp_path / "tiles" / "good").mkdir(parents=True)
    assert data.resolve(str(tmp_path / "tiles")) == tmp_path / "tiles"
    monkeypatch.setenv("FSAD_DATA_DIR", str(tmp_path))
    assert data.resolve("tiles/good") == tmp_path / "tiles" / "good"
    monkeypatch.delenv("FSAD_DATA_DIR")
    assert not data.there("tiles/good") and data.there("synthetic-leather")
    with pytest.raises(FileNotFoundError, match=r"synthetic-leather.*not set.*Received: tiles/good"):
        data.resolve("tiles/good")


def test_synthetic_names_are_drawn_on_first_use(tmp_path, monkeypatch):
    def write(folder, progress):
        (folder / "good").mkdir(parents=True)
        return folder

    monkeypatch.setattr(data, "CACHE", tmp_path)
    monkeypatch.setitem(data.SYNTHETIC, "synthetic-tile", write)
    assert not data.drawn("synthetic-tile") and data.resolve("synthetic-tile").is_dir()
    assert data.drawn("synthetic-tile") and data.drawn("magnetic_tile")


def test_shots_that_cannot_be_drawn_are_refused(parts):
    settings = {"data": str(parts), "anchors": 2, "good": 2, "defective": 2, "hold_out": None, "test_per_class": 3}
    settings |= data.known(str(parts))
    data.check_shots(settings)
    shots = data.shots(data.load(str(parts)), settings, np.random.default_rng(0))
    fields = data.test_fields(shots.test, data.load(str(parts)))
    assert fields["label"] == [0] * 3 + [1] * 3 and all((parts / path).is_file() for path in fields["path"])
    with pytest.raises(ValueError, match="hold_out among"):
        data.check_shots({**settings, "hold_out": "rust"})
    with pytest.raises(ValueError, match="distinct good parts"):
        data.check_shots({**settings, "anchors": 30})


def test_masks_at_the_size_of_the_model(tmp_path):
    mask = cv2.rectangle(np.zeros((40, 40), np.uint8), (0, 0), (19, 39), 255, -1)
    for name, pixels in (("half", mask), ("empty", np.zeros_like(mask))):
        write_image(tmp_path / f"{name}.png", pixels)
    files = (tmp_path / "half.png", tmp_path / "empty.png", None)
    half, empty, none = (Sample(tmp_path / "image.png", 1, "cut", file) for file in files)
    assert data.mask_at(half, 10).mean() == 0.5 and data.mask_at(empty, 10) is None and data.mask_at(none, 10) is None


def test_the_first_of_several_classes_is_good(tmp_path, rng):
    for kind in ("rose", "daisy", "tulip"):
        write_image(tmp_path / kind / "0.png", rng.integers(0, 256, (32, 32, 3), np.uint8))
    dataset = data.labelled(inputs.load(tmp_path))
    assert sorted((s.label, s.kind) for s in dataset.samples) == [(0, "good"), (1, "rose"), (1, "tulip")]


def test_benign_and_malignant_are_good_and_defective(tmp_path, rng):
    for name in ("benign", "malignant"):
        for k in range(6):
            write_image(tmp_path / name / f"{k}.png", rng.integers(0, 256, (64, 64, 3), np.uint8))
    dataset = data.labelled(inputs.with_groups(inputs.load(tmp_path)))
    assert dataset.counts() == {"good": 6, "malignant": 6}
    shots = splits.sample_shots(dataset, rng, anchors=1, good=1, defective=1)
    assert {s.label for s in shots.test} == {0, 1} and shots.defective[0].kind == "malignant"
