import numpy as np

from experiments.ablations.matching import TABLE, curves, thinned
from experiments.page import Result


def test_thinning_by_hand(rng):
    angles = np.radians([0, 1, 2, 90, 180])
    pool = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    assert set(thinned(pool, "density", 2, rng)) == {3, 4}  # the lonely ones
    coreset = thinned(pool, "coreset", 3, rng)
    assert len({int(k) for k in coreset} & {3}) == 1 and 4 in coreset and len(set(coreset) & {0, 1, 2}) == 1
    assert len(set(thinned(pool, "random", 3, rng))) == 3


def test_curves_leave_out_rows_that_were_not_run():
    known = {"auroc": {"mean": 0.9, "sd": 0.01}, "gflop": {"mean": 1.0, "sd": 0.0}}
    results = {row.key: Result(known) for row in TABLE.rows if "64" not in row.key}
    results["64 references, mirrored views"] = Result({}, ("Too few good images.",))
    names = curves(results).axes[0].get_legend_handles_labels()[1]
    assert names == ["default", "mirrored views", "as they are", "random", "coreset", "density", "layers"]
