import mmap
import subprocess
import sys

import pytest

from experiments import memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not say")
def test_what_is_held_and_what_was():
    memory.forget_peak()
    before = memory.held()
    with mmap.mmap(-1, 64_000_000) as block:  # pages of the system's, which go back to it
        for place in range(0, 64_000_000, 4096):  # every page
            block[place] = 1
        assert memory.held() - before > 50
    assert memory.held() - before < 50 < memory.peak() - before


def test_a_process_that_is_gone_holds_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert memory.held(process.pid) == memory.peak(process.pid) == 0
