import keras
import numpy as np
import pytest

from fsad import siamese
from fsad.explain import advice


def red_model(side=16):
    """Dissimilarity grows with the difference in mean red: what is red in both makes them alike."""
    image, maps = keras.Input((side, side, 3)), keras.Input((side, side, 1))
    first = keras.layers.Conv2D(1, 1, use_bias=False, name="red")
    backbone = keras.Model(image, first(keras.layers.Rescaling(1 / 255)(image)), name="backbone")
    first.set_weights([np.array([1.0, 0, 0]).reshape(1, 1, 3, 1)])
    neck = keras.Model(maps, keras.layers.GlobalAveragePooling2D()(maps), name="neck")
    model = siamese.build(backbone, neck, siamese.distance_head(1, "euclidean"))
    siamese.parts(model).distance.get_layer("dissimilarity").set_weights([np.array([[40.0]]), np.array([-2.0])])
    return model


def square(side=16, at=4, size=6):
    image = np.zeros((side, side, 3), np.uint8)
    image[at : at + size, at : at + size, 0] = 255
    return image


def test_covering_what_is_alike_makes_them_different(rng):
    """The first image has less red: its red is what speaks against 'different'... and covering it blurs it away."""
    first, second = square(size=4), square(size=6)
    measured, sentences = advice.removal(red_model(), first, second, rng)
    assert 0 < measured["area"] < 0.5 and 0 <= measured["before"] <= 1
    changed = (measured["covered"] != np.stack([first, second])).any((0, 3))
    assert changed.any() and "dissimilarity from" in sentences[0] and len(sentences) == 2


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({"before": 0.2, "after": 0.7, "elsewhere": 0.22, "area": 0.1}, "because of that region"),
        ({"before": 0.2, "after": 0.21, "elsewhere": 0.2, "area": 0.1}, "does not depend on that region"),
        ({"before": 0.2, "after": 0.5, "elsewhere": 0.45, "area": 0.1}, "any region does nearly as much"),
        ({"before": 0.2, "after": 0.2, "elsewhere": 0.2, "area": 0.0}, "no region to remove"),
    ],
)
def test_what_is_said_of_a_removal_follows_from_what_was_measured(measured, words):
    assert words in advice._said_of_removal(measured)[-1]


def test_share_on_the_object_by_hand():
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True  # a quarter of the image
    inside, outside, flat = mask.astype(float), (~mask).astype(float), np.ones((4, 4))
    for one, share, words in (
        (inside, 1.0, "crop to it"),
        (outside, 0.0, "looks past the object"),
        (flat, 0.25, "hardly more than chance"),
    ):
        measured, sentences = advice.on_object([one], [mask])
        assert measured == {"share": share, "area": 0.25} and words in sentences[1]
    assert advice.on_object([np.zeros((4, 4))], [mask])[0] == {"share": None, "area": None}


def test_bias_is_told_by_where_maps_lie(rng):
    def maps(row, column, count=8):
        out = rng.uniform(0, 0.05, (count, 10, 10))
        out[:, row : row + 2, column : column + 2] += 1
        return out

    measured, sentences = advice.bias(maps(4, 4), maps(4, 4))
    assert measured["correlation"] > 0.9 and "lie where training maps do" in sentences[0] and len(sentences) == 1
    measured, sentences = advice.bias(maps(4, 4), maps(0, 0))
    assert measured["correlation"] < 0.5 and "lie elsewhere" in sentences[0] and "a mark, a date" in sentences[1]
    assert "no habit" in advice.bias(rng.uniform(0, 1, (8, 10, 10)), maps(4, 4))[1][0]
    with pytest.raises(ValueError, match="four training maps"):
        advice.bias(maps(4, 4, 3), maps(4, 4))


def test_a_region_is_covered_by_a_blur_of_itself():
    image = square()[None]
    region = np.zeros((1, 16, 16), bool)
    region[:, 4:10, 4:10] = True
    covered = advice.cover(image, region)
    assert (covered[~region] == image[~region]).all() and covered[region][:, 0].mean() < 255
