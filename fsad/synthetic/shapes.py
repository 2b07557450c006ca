"""Shapes that defects and wear are drawn with, as float32 ``(S, S)`` in [0, 1]."""

import numpy as np
from scipy.spatial import cKDTree


def centre_of(size, rng, margin=0.1):
    """A random point ``(x, y)``, at least ``margin`` of the side from the border."""
    return rng.uniform(margin * size, (1 - margin) * size, 2)


def blob(size, rng, radius, soft=1.0, rough=0.25, centre=None):
    """An irregular round shape; ``rough`` is the relative wobble of its outline."""
    x, y = centre_of(size, rng) if centre is None else centre
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    angle, squeeze = rng.uniform(0, np.pi), rng.uniform(0.65, 1.0)
    u = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
    v = ((yy - y) * np.cos(angle) - (xx - x) * np.sin(angle)) / squeeze
    r, phi = np.hypot(u, v), np.arctan2(v, u)
    edge = radius * (
        1 + rough * sum(rng.normal(0, 1 / k) * np.cos(k * phi + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4, 5, 7)) / 2
    )
    return (1 / (1 + np.exp(np.clip((r - edge) / max(soft, 0.3) * 2, -30, 30)))).astype(np.float32)


def walk(size, rng, length, bend):
    """A smooth random walk of ``length`` pixels through a random point: float ``(N, 2)``, columns x and y."""
    n = max(int(length), 8)
    turn = np.cumsum(rng.normal(0, bend / np.sqrt(n), n)) * 3
    heading = rng.uniform(0, 2 * np.pi) + turn - turn[n // 2]
    step = np.stack([np.cos(heading), np.sin(heading)], 1)
    path = np.cumsum(step, 0)
    return path - path[n // 2] + centre_of(size, rng, 0.2)


def stroke(size, rng, length, width, bend=0.5, path=None):
    """An antialiased line that tapers at both ends; ``width`` is in pixels, at its middle."""
    path = walk(size, rng, length, bend) if path is None else path
    yx = np.stack(np.mgrid[:size, :size], -1).reshape(-1, 2)[:, ::-1]
    distance, nearest = cKDTree(path).query(yx, distance_upper_bound=4 * width + 3)
    taper = np.sin(np.pi * (np.arange(len(path)) + 0.5) / len(path)) ** 0.5
    taper = np.append(taper, 1)[nearest].reshape(size, size)
    distance = np.minimum(distance, 1e3).reshape(size, size)
    return (1 / (1 + np.exp(np.clip((distance - width * taper / 2) * 3, -30, 30)))).astype(np.float32)
