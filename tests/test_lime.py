import numpy as np

from fsad.explain import lime, segments


def test_of_a_linear_score_the_coefficients_are_what_segments_add(adding, monkeypatch):
    comparer = adding(4)
    labels = np.repeat([[0, 1], [2, 3]], 2, 0).repeat(2, 1)  # four quarters of 2 x 2
    monkeypatch.setattr(segments, "slic", lambda image, count: labels)
    images = np.zeros((1, 4, 4, 3), np.uint8)
    images[0, :2, :2], images[0, 2:, :2] = 100, 50  # add 1200 and 600 to the sum
    references = comparer.references(np.zeros((1, 4, 4, 3), np.uint8))
    maps = lime.maps(comparer, images, references, samples=200)
    assert maps.shape == (1, 4, 4)
    # The ridge penalty of 1 against some 30 weighted samples shrinks them a little.
    np.testing.assert_allclose(maps[0, ::2, ::2], [[1200, 0], [600, 0]], rtol=0.2, atol=60)
    assert (maps == lime.maps(comparer, images, references, samples=200)).all()  # by its seed
