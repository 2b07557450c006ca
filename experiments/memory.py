"""The memory of processes, in 10^6 bytes, as Linux tells it; elsewhere of this process alone, and only its peak."""

import contextlib
import resource
import sys
from pathlib import Path


def held(process="self"):
    """What a process holds now; 0 where it is gone or the system does not say."""
    return _status(process, "VmRSS")


def peak(process="self"):
    """The most that a process has held, since `forget_peak` if that is this one; 0 where it is gone."""
    known = _status(process, "VmHWM")
    if known or process != "self":
        return known
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def forget_peak():
    """Starts the measure of this process's `peak` anew, where the system can."""
    with contextlib.suppress(OSError):  # not Linux: the peak is that of the whole life
        Path("/proc/self/clear_refs").write_text("5")


def _status(process, field):
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field)), 0.0)
