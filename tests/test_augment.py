import numpy as np
import pytest

from fsad import augment


def test_the_eight_images_written_out():
    image = np.array([[10, 20], [30, 40]], np.uint8)[..., None].repeat(3, -1)
    views = augment.eightfold(image).numpy()[..., 0].tolist()
    assert dict(zip(augment.NAMES, views, strict=True)) == {
        "original": [[10, 20], [30, 40]],
        "rotated 90 clockwise": [[30, 10], [40, 20]],
        "rotated 180": [[40, 30], [20, 10]],
        "rotated 90 counterclockwise": [[20, 40], [10, 30]],
        "flipped horizontally": [[20, 10], [40, 30]],
        "flipped vertically": [[30, 40], [10, 20]],
        "brighter": [[13, 26], [39, 52]],
        "darker": [[7, 14], [21, 28]],
    }


def test_the_four_mirrors_written_out():
    image = np.array([[1, 2], [3, 4]])[None, ..., None]
    views = [mirror(image)[0, ..., 0].tolist() for mirror in augment.MIRRORS]
    assert views == [[[1, 2], [3, 4]], [[2, 1], [4, 3]], [[3, 4], [1, 2]], [[4, 3], [2, 1]]]


def test_brightness_is_clipped():
    assert augment.eightfold(np.full((2, 2, 3), 250, np.uint8)).numpy()[6].max() == 255


def test_image_k_becomes_rows_8k_to_8k_plus_7(rng):
    images = rng.integers(0, 256, (3, 4, 4, 3), np.uint8)
    expanded = augment.expand(images).numpy()
    assert expanded.shape == (24, 4, 4, 3) and expanded.dtype == np.uint8
    assert (expanded[::8] == images).all() and (expanded[8:16] == augment.eightfold(images[1]).numpy()).all()


def test_only_square_images():
    with pytest.raises(ValueError, match="square"):
        augment.expand(np.zeros((1, 4, 5, 3), np.uint8))
