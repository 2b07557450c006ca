"""The machine that figures were measured on, in words."""

import os
import platform
from pathlib import Path


def machine():
    """Processor, cores and system, such as ``"AMD EPYC, 2 cores, Linux"``."""
    model = platform.processor() or platform.machine()
    try:
        found = [
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ]
        model = found[0] if found else model
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"
