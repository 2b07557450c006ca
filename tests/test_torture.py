"""The attacks themselves are run by `make torture`; here, what they rest on."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from experiments.torture import Workshop, __main__, images, kills

ROOT = Path(__file__).parent.parent


def test_names_are_unique_and_each_mended_defect_has_its_test():
    names = [attack.name for attack in __main__.ATTACKS]
    assert len(set(names)) == len(names)
    for _, test in __main__.MENDED:
        file, name = test.split("::")
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.M), test


def test_many_kinds_of_outcome_are_summed_and_stand_in_a_table():
    counts = {f"kind {k}: refused": k for k in range(1, 13)} | {"kind 1: scored": 7}
    assert __main__.in_short(counts) == {"refused": 78, "scored": 7}
    assert "| | refused | scored |" in __main__.in_full(counts) and "| kind 1 | 1 | 7 |" in __main__.in_full(counts)
    few = {"a pipe: refused": 1}
    assert __main__.in_short(few) == few


@pytest.mark.parametrize("kind", images.KINDS)
def test_each_mutation_changes_the_bytes(kind):
    data, other = bytes(range(256)) * 9, bytes(2000)
    mutated = [images.KINDS[kind](data, random.Random(seed), other) for seed in range(9)]
    assert sum(one != data for one in mutated) > 6


def _write(path):
    for name in ("a", "b"):
        Path(path, name).write_text(name)
    os.rename(Path(path, "b"), Path(path, "c"))


def test_a_process_is_killed_before_the_event_that_is_asked_for(tmp_path):
    workshop = Workshop(tmp_path)
    for at, left in ((1, []), (2, ["a"]), (3, ["a", "b"]), (4, ["a", "c"])):
        with workshop.folder() as folder:
            (folder / "case").mkdir()
            ended = workshop.run(kills.hooked, folder / "case", at, folder / "count", _write, folder / "case")
            assert sorted(os.listdir(folder / "case")) == left
            assert ended.status == (0 if at == 4 else -signal.SIGKILL)


def test_what_hangs_crashes_or_raises_is_an_outcome(tmp_path):
    workshop = Workshop(tmp_path)
    assert workshop.run(time.sleep, 60, seconds=0.1).status is None
    assert workshop.run(os.abort).status == -signal.SIGABRT
    ended = workshop.run(int, "x")
    assert ended.status == 70 and ended.said == "ValueError: invalid literal for int() with base 10: 'x'"
    assert workshop.run(os.write, 1, b"said").text == "said"
