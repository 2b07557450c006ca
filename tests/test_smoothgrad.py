import numpy as np

from fsad.explain import saliency, smoothgrad


def test_of_a_linear_score_it_is_the_saliency(adding):
    comparer = adding(4)
    images = np.full((2, 4, 4, 3), 200, np.uint8)
    images[:, 0] = 100
    references = comparer.references(np.zeros((1, 4, 4, 3), np.uint8))
    smooth = smoothgrad.maps(comparer, images, references, sigma=0)
    np.testing.assert_allclose(smooth, saliency.maps(comparer, images, references, sigma=0), rtol=1e-5)
    np.testing.assert_allclose(smooth, 1, rtol=1e-5)


def test_noise_of_either_sign_cancels_where_the_gradient_turns(adding):
    """At the reference the distance has a kink: gradients are +1 and -1 by chance, and their mean is near 0."""
    comparer = adding(4)
    image = np.full((1, 4, 4, 3), 100, np.uint8)
    image[0, 0, 0] = 110  # or the image has no range, and the noise none
    references = comparer.references(image)
    maps = smoothgrad.maps(comparer, image, references, samples=64, sigma=0)
    assert maps.shape == (1, 4, 4) and maps.max() < 0.4
