import numpy as np

from fsad import trend


def distances(values):
    return np.abs(np.subtract.outer(values, values)).astype(float)


def test_images_that_drift_differ_and_shuffled_ones_do_not(rng):
    drifting = np.arange(16) + rng.normal(0, 1, 16)
    assert trend.p_value(distances(drifting), rng) < 0.01
    assert trend.p_value(distances(rng.permutation(drifting)), rng) > 0.05
    jump = np.repeat([0.0, 1.0], 8) + rng.normal(0, 0.2, 16)
    assert trend.p_value(distances(jump), rng) < 0.01


def test_equal_images_and_few_images_say_nothing(rng):
    assert trend.p_value(np.zeros((12, 12)), rng) == 1
    assert trend.p_value(distances(np.arange(8)), rng) == 1
