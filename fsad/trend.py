"""Do the first and the last of some images differ? Where light or camera changed while they were taken, they do."""

import numpy as np

LEAST = 9  # images: three first, three last


def p_value(distances, rng, shuffles=999):
    """How often images in random order differ as much between their first and last third as these do.

    Args:
        distances: ``(n, n)`` of images in order of time, each of another part; the diagonal is not used.
        rng: an ``np.random.Generator``.
        shuffles: orders tried.

    Returns:
        In (0, 1]; 1 for fewer than `LEAST` images, with which nothing can be said.
    """
    count = len(distances)
    if count < LEAST:
        return 1.0
    symmetric, third = (distances + distances.T) / 2, count // 3
    others = ~np.eye(third, dtype=bool)

    def apart(order):
        first, last = order[:third], order[-third:]
        within = [symmetric[np.ix_(side, side)][others].mean() for side in (first, last)]
        return symmetric[np.ix_(first, last)].mean() - np.mean(within)

    observed = apart(np.arange(count))
    as_much = sum(apart(rng.permutation(count)) >= observed for _ in range(shuffles))
    return (1 + as_much) / (1 + shuffles)
