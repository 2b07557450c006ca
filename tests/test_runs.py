import numpy as np
import pytest

from experiments import runs
from experiments.page import Row

ROW = Row("a", "Row a", {})


def train(settings, on_epoch):
    on_epoch(0.5)
    return {"seed": settings["seed"]}, {"maps": np.zeros((1, 2))}


@pytest.fixture
def three(tmp_path, monkeypatch):
    monkeypatch.setattr(runs.data, "of", lambda settings: None)
    settings = {"data": "parts", "epochs": 1}
    return [runs.Run(ROW, {**settings, "seed": seed}, tmp_path / str(seed)) for seed in range(3)]


def test_runs_are_made_once_and_kept_by_row(three):
    assert runs.make(three[:2], train) == {} and three[0].finished and not three[2].finished
    assert runs.make(three, None)[three[2].folder].startswith("Seed 2 failed")  # the others are not made again
    ((row, records),) = runs.by_row(three[:2])
    assert row == ROW and [record["seed"] for record in records] == [0, 1]
    assert three[1].load()[1]["maps"].shape == (1, 2)


def test_a_process_that_has_grown_starts_anew_and_goes_on(three, monkeypatch):
    class Replaced(Exception):
        """A process that is replaced does not come back."""

    def execv(path, arguments):
        assert path == arguments[0] and arguments[1:] == runs.sys.orig_argv[1:]
        raise Replaced

    assert not runs.is_command()  # a process of tests is never replaced
    monkeypatch.setattr(runs, "is_command", lambda: True)
    monkeypatch.setattr(runs.os, "execv", execv)
    monkeypatch.setattr(runs, "memory", lambda: 2 * runs.MAX_MEMORY)
    with pytest.raises(Replaced):
        runs.make(three, train)
    assert [run.finished for run in three] == [True, False, False]
    with pytest.raises(Replaced):
        runs.make(three, train)
    assert runs.make(three, train) == {} and three[2].finished  # after the last there is no need
