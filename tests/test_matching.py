import numpy as np

from experiments.ablations.matching import thinned


def test_thinning_by_hand(rng):
    angles = np.radians([0, 1, 2, 90, 180])
    pool = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    assert set(thinned(pool, "density", 2, rng)) == {3, 4}  # the lonely ones
    coreset = thinned(pool, "coreset", 3, rng)
    assert len({int(k) for k in coreset} & {3}) == 1 and 4 in coreset and len(set(coreset) & {0, 1, 2}) == 1
    assert len(set(thinned(pool, "random", 3, rng))) == 3
