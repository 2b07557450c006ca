import numpy as np
import pytest

from fsad import colours
from fsad.inputs import Dataset, Sample


def test_six_numbers_by_hand():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, :, 0], image[..., 1] = 100, 40  # R: two of 100 and two of 0
    assert colours.colours(image).tolist() == [50, 40, 0, 50, 0, 0]


def test_light_tells_sets_apart_and_noise_does_not(rng):
    numbers, labels = rng.normal(size=(60, 6)), np.repeat([0, 1], 30)
    brighter = numbers + 8 * labels[:, None]
    assert colours.separability(brighter, labels, np.arange(60)) == 1
    assert 0.25 < colours.separability(numbers, labels, np.arange(60)) < 0.75


def test_a_part_is_judged_without_its_other_photographs(rng):
    """Five photographs each of twelve parts, whose label is drawn: only knowing a part by heart would tell it."""
    numbers = np.repeat(rng.normal(size=(12, 6)), 5, axis=0) + 1e-3 * rng.normal(size=(60, 6))
    labels, parts = np.repeat(np.arange(12) % 2, 5), np.repeat(np.arange(12), 5)
    assert colours.separability(numbers, labels, np.arange(60)) > colours.separability(numbers, labels, parts) + 0.2


def test_one_part_of_a_kind_cannot_be_judged():
    assert colours.separability(np.zeros((4, 6)), [0, 0, 1, 1], [0, 1, 2, 2]) is None


@pytest.mark.parametrize("layout", ["MVTec AD", "classes"])
def test_what_is_told_apart_depends_on_the_layout(tmp_path, layout, rng):
    """Good images of test/ are brighter than those of train/, defective ones as bright as those of test/."""
    names = [("train/good", 0), ("test/good", 0), ("test/cut", 1)]
    samples = [Sample(tmp_path / name / f"{k}.png", label, group=10 * n + k, folder=tmp_path)
               for n, (name, label) in enumerate(names) for k in range(10)]  # fmt: skip
    numbers = rng.normal(size=(30, 6)) + 9 * (np.arange(30)[:, None] >= 10)
    aurocs = colours.confounds(Dataset(tmp_path, layout, tuple(samples), colours=numbers))
    if layout == "classes":
        assert list(aurocs) == ["one class from the others"]
    else:
        assert aurocs["train/good from test/good"] == 1 and 0.6 < aurocs["good from defective"] < 1
