import numpy as np
import pytest

from fsad import scoring


def test_compare_is_the_two_picture_model_on_every_pair(tiny_recipe, rng):
    model = tiny_recipe().model
    pictures, references = rng.integers(0, 256, (2, 5, 16, 16, 3)).astype(np.float32)
    e, r = scoring.embed(model, pictures, batch_size=2), scoring.embed(model, references[:3])
    assert e.shape == (5, 6)
    for block in (4096, 4):  # blocks change memory, not results
        found = scoring.compare(model, e, r, block=block)
        expected = [[float(model([r_[None], p[None]])[0, 0]) for r_ in references[:3]] for p in pictures]
        assert np.allclose(found, expected, atol=1e-6)


def test_reductions_by_hand():
    d = np.array([[0.3, 0.1, 0.8], [0.5, 0.5, 0.5]])
    assert scoring.reduce(d, "mean") == pytest.approx([0.4, 0.5])
    assert scoring.reduce(d, "min").tolist() == [0.1, 0.5]
    assert scoring.reduce(d, "first").tolist() == [0.3, 0.5]
    with pytest.raises(ValueError, match="reduction"):
        scoring.reduce(d, "median")


def test_calibrated_threshold_by_hand():
    # Separable: the middle of the gap.
    assert scoring.calibrate([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)
    # One good picture scores high: cutting above 0.2 loses it, and only it.
    assert scoring.calibrate([0, 0, 0, 1, 1], [0.1, 0.2, 0.7, 0.6, 0.9]) == pytest.approx(0.4)
    # Of two cuts with one error each, the wider gap.
    assert scoring.calibrate([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9]) == pytest.approx(0.6)


def test_calibration_without_both_classes_or_with_one_score():
    with pytest.raises(ValueError, match="Received: 0 defective of 2"):
        scoring.calibrate([0, 0], [0.1, 0.2])
    assert scoring.calibrate([0, 1], [0.5, 0.5]) == 0.5
