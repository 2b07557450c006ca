import cv2
import numpy as np
import pytest

import fsad
from fsad import alignment
from fsad.alignment import Aligner


def part(rng, size=(120, 160)):
    """A bracket with a hole on a plain ground, with noise."""
    height, width = size
    image = np.full((height, width, 3), 60, np.uint8)
    cv2.rectangle(image, (45, 35), (115, 60), (190, 180, 170), -1)
    cv2.rectangle(image, (45, 35), (65, 90), (190, 180, 170), -1)
    cv2.circle(image, (100, 47), 7, (40, 40, 40), -1)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def moved(image, angle, right, down):
    """``(image, matrix)``: turned about its middle, then shifted."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    matrix[:, 2] += right, down
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.vstack(
        [matrix, [0, 0, 1]]
    )


@pytest.mark.parametrize("angle, right, down", [(0, 0, 0), (0, 9, -6), (17, -8, 5), (-28, 3, 3)])
def test_finds_shift_and_rotation(rng, angle, right, down):
    reference = part(rng)
    image, matrix = moved(part(rng), angle, right, down)
    aligned = Aligner(reference)(image)
    assert aligned.correlation > 0.8
    corners = np.array([[40, 120, 120, 40], [30, 30, 90, 90], [1, 1, 1, 1]])
    assert np.abs((aligned.matrix - matrix) @ corners).max() < 1  # a pixel
    inner = (slice(30, 95), slice(40, 120))
    assert np.abs(aligned.image[inner].astype(int) - reference[inner]).mean() < 8


def test_a_map_goes_back_to_where_the_image_lay(rng):
    image, matrix = moved(part(rng), 0, 16, -8)
    anomaly_map = np.zeros((12, 16), np.float32)
    anomaly_map[6, 8] = 1  # 10 pixels a cell
    there = alignment.back(anomaly_map, matrix, image.shape[:2])
    assert there[5:7, 9:11].sum() == pytest.approx(1, abs=1e-5) and there.max() < 1  # between cells
    assert np.array_equal(alignment.back(anomaly_map, np.eye(3), (120, 160)), anomaly_map)
    point = alignment.point_back((0.5, 0.5), matrix, image.shape[:2])
    assert point == pytest.approx((0.5 + 16 / 160, 0.5 - 8 / 120))


def test_rescaled_keeps_middles_of_pixels():
    shift = np.array([[1, 0, 4], [0, 1, 2], [0, 0, 1.0]])
    assert np.allclose(alignment.rescaled(shift, (10, 20), (20, 40)), [[1, 0, 8], [0, 1, 4], [0, 0, 1]])
    half_turn = np.array([[-1, 0, 19], [0, -1, 9], [0, 0, 1.0]])  # about the middle of 20 x 10
    assert np.allclose(alignment.rescaled(half_turn, (10, 20), (20, 40)), [[-1, 0, 39], [0, -1, 19], [0, 0, 1]])


def test_textures_do_not_lock(rng):
    textures = rng.integers(0, 256, (6, 64, 64, 3), np.uint8)
    assert Aligner(textures[0])(textures[1]).matrix is None
    assert np.array_equal(Aligner(textures[0])(textures[1]).image, textures[1])
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert Aligner(flat)(flat).matrix is None  # nothing to see
    with pytest.raises(ValueError, match=r"Received: 1 of 6 lock on a reference; fit without align"):
        alignment.fit(textures, np.ones(6, bool))


@pytest.mark.slow
def test_a_detector_aligns_and_says_where_in_the_file(rng, tmp_path):
    good = [moved(part(rng), *rng.uniform(-8, 8, 3))[0] for _ in range(10)]
    new = part(rng)
    broken = new.copy()
    broken[70:85, 48:60] = (60, 60, 60)  # a piece is missing
    lying, matrix = moved(broken, 12, 10, -6)
    settings = {"backbone": "filter_bank", "side": 128, "smoothing": 0}
    as_they_lie = fsad.Detector(**settings).fit(np.stack(good), progress=False)
    detector = fsad.Detector(**settings, align=True).fit(np.stack(good), progress=False)
    straight = moved(new, 12, 10, -6)[0]
    margin = lambda detector: np.diff(detector.score(np.stack([straight, lying])))[0]  # noqa: E731
    assert margin(detector) > margin(as_they_lie)
    loaded = fsad.load(detector.save(tmp_path / "detector"))
    first, second = loaded.inspect(np.stack([lying, rng.integers(0, 256, lying.shape, np.uint8)]))
    assert first.aligned is True and second.aligned is False and as_they_lie.inspect(new)[0].aligned is None
    x, y, _ = matrix @ [54, 77, 1]
    left, top, width, height = first.regions[0].box
    assert left <= x <= left + width and top <= y <= top + height
    assert loaded.learn(good=moved(part(rng), 20, 0, 0)[0], progress=False) and loaded.fitted.aligner is not None
    with pytest.raises(ValueError, match="expected a good image that can be aligned"):
        loaded.learn(good=rng.integers(0, 256, lying.shape, np.uint8), progress=False)
