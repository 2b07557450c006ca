import keras
import numpy as np
import pytest

from experiments.livieris import compare
from fsad import siamese
from fsad.images import read_image, write_image


def save_model(path, distance):
    image, maps = keras.Input((16, 16, 3)), keras.Input((14, 14, 4))
    backbone = keras.Model(image, keras.layers.Conv2D(4, 3, activation="relu")(image), name="backbone")
    neck = keras.Model(maps, keras.layers.GlobalAveragePooling2D()(maps), name="neck")
    siamese.build(backbone, neck, distance).save(path)
    return path


def test_two_images_give_a_panel_and_maps(tmp_path, rng, capsys):
    model = compare.load(save_model(tmp_path / "model.keras", siamese.distance_head(4)))
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        write_image(path, rng.integers(0, 256, (20, 30, 3)).astype(np.uint8))
    options = {"target": "same", "layer": None, "method": "gradcam"}
    compare.run(model, paths, options, out=tmp_path / "pair.png", maps=tmp_path / "maps.npz")
    assert "similarity" in capsys.readouterr().out and read_image(tmp_path / "pair.png").ndim == 3
    with np.load(tmp_path / "maps.npz") as maps:
        assert maps["raw"].shape == (2, 14, 14) and maps["factual"].max() <= 1


def test_what_is_no_model_of_a_pair_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a model file"):
        compare.load(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"bad\.keras"):
        compare.load(tmp_path / "bad.keras")
    with pytest.raises(ValueError, match="bare distance"):
        compare.load(save_model(tmp_path / "bare.keras", siamese.bare_distance(4)))
