import os

import numpy as np
import pytest
from absl import flags

from experiments import data, runs, sweep
from experiments.page import Row


def train(settings, on_epoch):
    """The seed, and the process that made the run; seed 2 fails."""
    on_epoch(0.5)
    if settings["seed"] == 2:
        raise ValueError("Expected another seed.\nReceived: 2")
    return {"seed": settings["seed"], "process": os.getpid()}, {"maps": np.zeros((1, 2))}


@pytest.fixture
def four(parts, tmp_path):
    """Runs of seeds 0 to 2, and one that shares the folder of the first."""
    settings = {**data.DEFAULTS, "data": str(parts), "epochs": 1}
    row = Row("a", "Row a", {})
    some = [runs.Run(row, {**settings, "seed": seed}, tmp_path / str(seed)) for seed in range(3)]
    return [*some, some[0]]


def test_a_run_asks_for_a_gpu_where_there_is_one():
    assert sweep.resources([{"CPU": 8.0}, {"CPU": 16.0, "GPU": 2.0}]) == {"num_gpus": 1, "num_cpus": 1}
    assert sweep.resources([{"CPU": 1.0}, {"CPU": 2.0}]) == {"num_gpus": 0, "num_cpus": 2}
    assert sweep.resources([{"CPU": 64.0}]) == {"num_gpus": 0, "num_cpus": sweep.CORES}


def test_a_task_imports_what_it_trains_with(four, monkeypatch):
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["test"])
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "2")
    for _ in range(2):  # the second one finds it finished
        sweep.work((__name__, "train"), [], 2, str(four[1].folder), four[1].settings, "Row a")
    assert four[1].load()[0]["settings"] == four[1].settings and not four[0].finished


def test_finished_runs_need_no_cluster(four, monkeypatch):
    monkeypatch.setattr(runs.Run, "finished", True)
    assert sweep.make(four, train, "nowhere:1") == {}


@pytest.mark.slow
def test_runs_are_made_once_each_in_its_process_and_a_failure_is_told(four, monkeypatch):
    pytest.importorskip("ray", reason="needs Ray: pip install 'fsad[scale]'")
    from fsad import scale

    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["test"])
    monkeypatch.setenv("PYTHONPATH", f"{os.path.dirname(__file__)}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with scale.cluster("local", num_cpus=2, num_gpus=1):
        failures = sweep.make(four, train, "local")
        assert failures == {four[2].folder: "Seed 2 failed: Expected another seed."}
        records = [run.load()[0] for run in four[:2]]
        assert [record["seed"] for record in records] == [0, 1]
        assert records[0]["process"] != records[1]["process"]
        assert list(sweep.make(four, train, "local")) == [four[2].folder]
        assert [run.load()[0] for run in four[:2]] == records  # not made again
