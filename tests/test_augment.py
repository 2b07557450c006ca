import numpy as np
import pytest

from fsad import augment


def test_the_eight_pictures_written_out():
    picture = np.array([[1, 2], [3, 4]], np.uint8)[..., None].repeat(3, -1) * 10
    shown = (augment.eightfold(picture).numpy()[..., 0] // 1).tolist()
    assert dict(zip(augment.NAMES, shown, strict=True)) == {
        "original": [[10, 20], [30, 40]],
        "rotated 90 clockwise": [[30, 10], [40, 20]],
        "rotated 180": [[40, 30], [20, 10]],
        "rotated 90 counterclockwise": [[20, 40], [10, 30]],
        "flipped horizontally": [[20, 10], [40, 30]],
        "flipped vertically": [[30, 40], [10, 20]],
        "brighter": [[13, 26], [39, 52]],
        "darker": [[7, 14], [21, 28]],
    }


def test_brightness_is_clipped():
    assert augment.eightfold(np.full((2, 2, 3), 250, np.uint8)).numpy()[6].max() == 255


def test_picture_k_becomes_rows_8k_to_8k_plus_7(rng):
    pictures = rng.integers(0, 256, (3, 4, 4, 3), np.uint8)
    out = augment.expand(pictures)
    assert out.shape == (24, 4, 4, 3) and out.dtype == np.uint8
    assert (out[::8] == pictures).all()
    assert (out[8:16] == augment.eightfold(pictures[1]).numpy()).all()


def test_only_square_pictures():
    with pytest.raises(ValueError, match="square"):
        augment.expand(np.zeros((1, 4, 5, 3), np.uint8))
