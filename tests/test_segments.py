import numpy as np
import pytest

from fsad.explain import segments


def test_superpixels_follow_the_colours():
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = (255, 0, 0)
    labels = segments.slic(image, count=8)
    assert labels.shape == (32, 32) and set(np.unique(labels)) == set(range(labels.max() + 1))
    assert not set(np.unique(labels[:, :15])) & set(np.unique(labels[:, 17:]))  # no segment is of both colours


def test_switched_and_spread_by_hand():
    labels = np.array([[0, 1], [1, 2]])
    image, other = np.full((2, 2, 3), 9.0), np.full((2, 2, 3), 4.0)
    images = segments.switched(image, other, labels, [[1, 0, 1], [0, 0, 0]])
    assert images[..., 0].tolist() == [[[9, 4], [4, 9]], [[4, 4], [4, 4]]]
    assert segments.spread([5, 6, 7], labels).tolist() == [[5, 6], [6, 7]]


def test_what_stands_in(adding):
    comparer = adding(2)
    images = np.zeros((1, 2, 2, 3), np.uint8)
    images[0, 0] = 8
    references = comparer.references(np.stack([np.full((2, 2, 3), value, np.uint8) for value in (3, 200)]))
    assert (segments.filled(comparer, images, references, "reference") == 3).all()  # a sum of 36 is nearer to 48
    assert (segments.filled(comparer, images, references, "mean") == 4).all()
    assert segments.filled(comparer, images, references, "blur").shape == (1, 2, 2, 3)
    with pytest.raises(ValueError, match="fill among reference, blur, mean"):
        segments.filled(comparer, images, references, "black")
