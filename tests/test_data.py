import pytest

from experiments import data


def test_folders_and_names_below_the_data_folder(tmp_path, monkeypatch):
    (tmp_path / "tiles" / "good").mkdir(parents=True)
    assert data.resolve(str(tmp_path / "tiles")) == tmp_path / "tiles"
    monkeypatch.setenv("FSAD_DATA_DIR", str(tmp_path))
    assert data.resolve("tiles/good") == tmp_path / "tiles" / "good"
    monkeypatch.delenv("FSAD_DATA_DIR")
    with pytest.raises(FileNotFoundError, match=r"synthetic-leather.*not set.*Received: tiles/good"):
        data.resolve("tiles/good")


def test_synthetic_names_are_drawn_on_first_use(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CACHE", tmp_path)
    folder = data.resolve("synthetic-tile")
    assert len(list(folder.rglob("train/good/*.png"))) == 120 and (folder / "synthetic.json").is_file()
    assert data.resolve("synthetic-tile") == folder
