import numpy as np

from fsad.explain import controls


def test_maps_that_know_nothing_of_the_network(rng):
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[:, :, 4:] = 100
    edges = controls.edge_maps(None, images)
    assert edges.shape == (2, 8, 8) and (edges[:, :, 3:5] == 400).all() and not edges[:, :, :3].any()
    noise = controls.random_maps(None, images)
    assert noise.shape == (2, 8, 8) and noise.min() >= 0 and noise.max() < 1 and (noise[0] != noise[1]).any()
    assert (noise == controls.random_maps(None, images)).all()
