import time

import pytest

from experiments.benchmarks import race
from experiments.benchmarks.race import Missing, Work


def sleeper(seconds, units):
    return Work(lambda: time.sleep(seconds), units, {"slept": seconds})


def absent():
    raise Missing("it is not installed")


def broken():
    raise ValueError("expected a whole one")


def hungry():
    return Work(lambda: bytearray(200_000_000))


@pytest.mark.slow
def test_implementations_take_turns_and_report():
    turns = []
    contenders = {
        "slow": ("test_race:sleeper", (0.05, 1)),
        "absent": ("test_race:absent", ()),
        "fast": ("test_race:sleeper", (0.05, 10)),
        "broken": ("test_race:broken", ()),
        "hungry": ("test_race:hungry", ()),
    }
    entries = race.race(contenders, 2, lambda: turns.append(1))
    assert list(entries) == list(contenders) and len(entries["slow"].seconds) == 2 and len(turns) == 6
    assert entries["slow"].each == pytest.approx(10 * entries["fast"].each, rel=0.5)  # ten units in the same time
    assert entries["slow"].facts == {"slept": 0.05} and entries["slow"].spread < 1
    assert entries["absent"].missing == "it is not installed"
    assert entries["broken"].missing == "ValueError: expected a whole one"
    assert 190 < entries["hungry"].megabytes - entries["slow"].megabytes < 260
    assert race.alone(abs, -3) == 3
