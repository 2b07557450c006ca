import time

import pytest

from experiments import race


def sleeper(turns, seconds, units):
    turns.tell(slept=seconds)
    turns.repeat(lambda: time.sleep(seconds), units)


def absent(turns):
    raise race.Missing("it is not installed")


def broken(turns):
    turns.begin()
    raise ValueError("expected a whole one")


def hungry(turns):
    turns.repeat(lambda: bytearray(200_000_000), 1)


def test_contenders_take_turns_and_tell():
    done = []
    contenders = {
        "slow": (sleeper, (0.05, 1)),
        "absent": (absent, ()),
        "fast": (sleeper, (0.05, 10)),
        "broken": (broken, ()),
        "hungry": (hungry, ()),
    }
    found = race.race(contenders, 2, lambda: done.append(1))
    assert list(found) == list(contenders) and len(found["slow"].seconds) == 2
    assert found["slow"].each == pytest.approx(10 * found["fast"].each, rel=0.5)  # ten units in the same time
    assert found["slow"].facts == {"slept": 0.05} and found["slow"].spread < 1
    assert found["absent"].missing == "it is not installed" and found["broken"].missing.startswith("ValueError")
    assert 190 < found["hungry"].megabytes - found["slow"].megabytes < 260
