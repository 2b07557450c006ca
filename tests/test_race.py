import time

import pytest

from experiments.benchmarks import race


def sleeper(turns, seconds, units):
    turns.report(slept=seconds)
    turns.repeat(lambda: time.sleep(seconds), units)


def absent(turns):
    raise race.Missing("it is not installed")


def broken(turns):
    turns.begin()
    raise ValueError("expected a whole one")


def hungry(turns):
    turns.repeat(lambda: bytearray(200_000_000), 1)


def test_implementations_take_turns_and_report():
    rounds = []
    contenders = {
        "slow": (sleeper, (0.05, 1)),
        "absent": (absent, ()),
        "fast": (sleeper, (0.05, 10)),
        "broken": (broken, ()),
        "hungry": (hungry, ()),
    }
    entries = race.race(contenders, 2, lambda: rounds.append(1))
    assert list(entries) == list(contenders) and len(entries["slow"].seconds) == 2
    assert entries["slow"].each == pytest.approx(10 * entries["fast"].each, rel=0.5)  # ten units in the same time
    assert entries["slow"].facts == {"slept": 0.05} and entries["slow"].spread < 1
    assert entries["absent"].missing == "it is not installed" and entries["broken"].missing.startswith("ValueError")
    assert 190 < entries["hungry"].megabytes - entries["slow"].megabytes < 260
