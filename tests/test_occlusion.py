import numpy as np

from fsad.explain import occlusion


def test_a_window_takes_away_what_it_adds(adding):
    """One corner is brighter than the reference by 30: the score falls by it where a window covers the corner."""
    comparer = adding(4)
    images = np.zeros((1, 4, 4, 3), np.uint8)
    images[0, 0, 0] = 10
    references = comparer.references(np.zeros((1, 4, 4, 3), np.uint8))
    maps = occlusion.maps(comparer, images, references, window=0.5)
    # Windows of 2 x 2 every pixel: the corner is in one, its neighbour in two, of which one covers the corner.
    np.testing.assert_allclose(maps[0, :2, :2], [[30, 15], [15, 7.5]], rtol=1e-3)
    assert abs(maps[0, 2:]).max() < 1e-3
    np.testing.assert_allclose(occlusion.maps(comparer, images, references, "same", window=0.5), -maps, atol=1e-3)


def test_windows_cover_every_pixel_of_any_size():
    for size in ((7, 5), (1, 1), (16, 9)):
        masks = occlusion._windows(size, 0.25)
        assert masks.shape[1:] == size and masks.any(0).all()
