"""The cells of a map: which of them make a tile, and how they are smoothed."""

import numpy as np


def tiles(cells, tile):
    """The cells in each tile, as rows of numbers ``(tiles, places)`` into a map of ``cells``."""
    tile = [min(one, size) for one, size in zip(tile, cells, strict=True)]
    starts = [_starts(size, one) for size, one in zip(cells, tile, strict=True)]
    numbers = np.arange(cells[0] * cells[1]).reshape(cells)
    return np.stack([numbers[y : y + tile[0], x : x + tile[1]].ravel() for y in starts[0] for x in starts[1]])


def _starts(size, tile):
    """Where tiles begin that cover a side in steps of at most half a tile."""
    count = 1 + int(np.ceil((size - tile) / max(1, tile // 2)))
    return np.linspace(0, size - tile, count).round().astype(int)


def gaussian(size, sigma):
    """The matrix ``(size, size)`` that smooths a column of cells; what lies beyond the border does not count."""
    if not sigma:
        return np.eye(size, dtype=np.float32)
    steps = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-(steps**2) / (2 * sigma**2)) * (np.abs(steps) <= 4 * sigma)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
