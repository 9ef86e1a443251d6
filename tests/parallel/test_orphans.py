"""Workers end with the process that started them, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

PROGRAM = """
    import os, sys, time
    from pathlib import Path
    from lowshot.parallel import Engine

    def work(number):
        (Path(sys.argv[1]) / str(os.getpid())).touch()
        time.sleep(0.2)

    with Engine("loky", 2).pool() as pool:
        for _ in pool.results((work, (number,)) for number in range(10_000)):
            pass
"""
SECONDS = 60


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_workers_of_loky_end_with_a_killed_parent(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)]
    parent = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    workers = until(lambda: sorted(int(file.name) for file in tmp_path.iterdir()), lambda found: len(found) == 2)
    parent.send_signal(end)
    parent.wait()
    until(lambda: [worker for worker in workers if is_there(worker)], lambda left: not left)


def until(look, fits, seconds: float = SECONDS):  # type: ignore[no-untyped-def]
    for _ in range(int(seconds * 10)):
        if fits(found := look()):
            return found
        time.sleep(0.1)
    raise AssertionError(f"after {seconds} s there are still {found}")


def is_there(pid: int) -> bool:
    """A process that is still at work; a zombie, which nobody has asked for its end yet, is not."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
