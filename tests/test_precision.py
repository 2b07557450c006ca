import types

import pytest

from experiments.ablations import precision


def test_runtimes_are_compared_on_the_same_scores():
    scores = {"tensorflow": [0.1, 0.2, 0.3, 0.4], "openvino bfloat16": [0.1, 0.25, 0.2, 0.4]}
    record = {"test": {"label": [0, 0, 1, 1]}, "scores": scores}
    run = types.SimpleNamespace(row=precision.TABLE.rows[0], load=lambda: (record, {}))
    cells = precision.report([run])[0]["float32"].cells
    assert cells["auroc tensorflow"]["mean"] == 1 and cells["auroc openvino bfloat16"]["mean"] == 0.75
    assert cells["difference openvino bfloat16"]["mean"] == pytest.approx(0.1)
    assert cells["auroc openvino"]["mean"] is None  # not installed there
