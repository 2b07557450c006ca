import numpy as np
import pytest

from fsad import backbones, filter_bank


def test_kernels_sum_to_zero_and_have_one_norm():
    kernels = filter_bank.kernels()
    assert kernels.shape == (25, 25, 1, 39)
    assert np.allclose(kernels.sum((0, 1)), 0, atol=1e-6) and np.allclose(np.abs(kernels).sum((0, 1)), 1)


def test_responds_to_stripes_by_orientation_and_not_to_a_blank_image():
    model, loaded = backbones.build("filter_bank", side=64)
    assert loaded == "fixed" and not model.trainable_weights
    assert model.output_shape == (None, 4, 4, 79)
    x = np.arange(64)
    across = np.broadcast_to(127 + 100 * np.sin(2 * np.pi * x / 8), (64, 64))  # brightness changes along x
    images = np.stack([across, across.T, np.full((64, 64), 200.0)])[..., None].repeat(3, -1)
    maps = np.asarray(model(images.astype(np.float32)))
    per_scale = 2 * filter_bank.ORIENTATIONS + 1
    edges = maps[..., per_scale : 2 * per_scale : 2][..., : filter_bank.ORIENTATIONS].mean((1, 2))  # scale 2
    assert edges[0].argmax() == 0  # angle 0: the derivative along x
    assert edges[1].argmax() == filter_bank.ORIENTATIONS // 2  # 90 degrees
    assert maps[2, ..., :-1].max() == pytest.approx(0, abs=1e-4) and (maps[..., -1] == np.float32(0.01)).all()
