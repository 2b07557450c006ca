import numpy as np
import pytest

from fsad import drift


@pytest.fixture
def images(rng):
    """Sixteen textures of brightness 120, give or take 2."""
    levels = 120 + 2 * rng.standard_normal(16)
    return np.clip(levels[:, None, None, None] + rng.normal(0, 20, (16, 32, 32, 3)), 0, 255).astype(np.uint8)


def feed(monitor, images, score=0.0):
    return [monitor.update(drift.numbers(image), score) for image in images]


def test_numbers_by_hand():
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, 2:] = 200
    brightness, _, warmth = drift.numbers(image)
    assert brightness == 100 and warmth == 0
    image[..., 2] = 0  # no blue: 100 of red on the average, over 100 + 1
    assert drift.numbers(image)[2] == pytest.approx(100 / 101)


def test_nothing_is_said_of_images_like_those_of_the_fit(images, rng):
    monitor = drift.Monitor(images, np.arange(16.0))
    assert not any(feed(monitor, images[rng.integers(0, 16, 300)], score=8.0)) and monitor.sentences() == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda x: (x * 0.8).astype(np.uint8), "darker"),
        (lambda x: np.clip(x * 1.2, 0, 255).astype(np.uint8), "brighter"),
        (lambda x: np.stack([drift.cv2.GaussianBlur(i, (0, 0), 1.5) for i in x]), "less sharp"),
        (lambda x: np.clip(x * np.array([1.1, 1.0, 0.9]), 0, 255).astype(np.uint8), "redder"),
    ],
)
def test_a_change_is_noticed(images, change, word):
    monitor = drift.Monitor(images, np.arange(16.0))
    feed(monitor, images, score=8.0)
    changes = feed(monitor, np.concatenate([change(images)] * 2), score=8.0)
    assert word in changes[-1] and 17 <= monitor.first[word] <= 48
    assert f"Images are {word} than those of the good images of the fit, noticed at image" in " ".join(
        monitor.sentences()
    )


def test_scores_alone_may_change_but_defective_parts_are_no_drift(images):
    half = drift.Monitor(images, np.arange(16.0))
    assert not any(half.update(drift.numbers(images[k % 16]), 100.0 if k % 2 else 5.0) for k in range(64))
    every = drift.Monitor(images, np.arange(16.0))
    changes = feed(every, images, score=12.0)  # above three quarters of the good ones
    assert changes[14] == [] and changes[-1] == ["scores"]
    assert every.sentences()[0].startswith("Scores are higher than those of the good images of the fit")


def test_sixteen_images_of_two_parts_say_little_of_a_third(images):
    """One part at 118, one at 122: a third at 126 is no drift, as sixteen parts would make it."""
    brighter = np.clip(images.astype(int) + 8, 0, 255).astype(np.uint8)
    two = drift.Monitor(images, np.arange(16.0), np.repeat([0, 1], 8))
    many = drift.Monitor(images, np.arange(16.0))
    assert feed(two, brighter)[-1] == [] and feed(many, brighter)[-1] == ["brighter"]
