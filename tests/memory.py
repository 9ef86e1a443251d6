"""The peak memory of this process, for tests that start one to measure it."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_bytes() -> int:
    """The largest resident size so far.

    Linux counts the memory of the process that started this one into ``ru_maxrss``, and that of pytest grows with every
    test; the status of the process does not have it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
