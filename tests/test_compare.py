import subprocess
import sys

import keras
import numpy as np
import pytest

from experiments import compare
from fsad import images, siamese


@pytest.fixture
def model(tmp_path):
    picture = keras.Input((16, 16, 3))
    body = keras.Model(picture, keras.layers.Conv2D(4, 3, activation="relu")(picture), name="backbone")
    maps = keras.Input(body.output_shape[1:])
    neck = keras.Model(maps, keras.layers.GlobalAveragePooling2D()(maps), name="neck")
    siamese.build(body, neck, siamese.distance_head(4)).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_two_pictures_give_a_panel_and_maps(tmp_path, model, rng):
    for name in "ab":
        images.write(tmp_path / f"{name}.png", rng.integers(0, 256, (20, 30, 3)).astype(np.uint8))
    command = [sys.executable, "-m", "experiments.compare", tmp_path / "a.png", tmp_path / "b.png", f"--model={model}",
               f"--out={tmp_path}/pair.png", f"--maps={tmp_path}/maps.npz"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "similarity" in done.stdout and images.read(tmp_path / "pair.png").shape[2] == 3
    with np.load(tmp_path / "maps.npz") as maps:
        assert maps["raw"].shape == (2, 14, 14) and maps["factual"].max() <= 1


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a model file"):
        compare.load(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"bad\.keras"):
        compare.load(tmp_path / "bad.keras")


def test_a_model_without_a_verdict_is_refused(tmp_path):
    picture, maps = keras.Input((16, 16, 3)), keras.Input((4,))
    body = keras.Model(
        picture, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(picture)), name="backbone"
    )
    neck = keras.Model(maps, keras.layers.Identity()(maps), name="neck")
    siamese.build(body, neck, siamese.bare_distance(4)).save(tmp_path / "bare.keras")
    with pytest.raises(ValueError, match="bare distance"):
        compare.load(tmp_path / "bare.keras")
