"""Tasks and a classifier that worker processes can import, which write down each time they run."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


def note(folder: Path, line: str) -> None:
    """Append a line to the list of what ran; one write, so that processes do not mix theirs."""
    with open(folder / "ran", "a") as file:
        file.write(f"{line}\n")


def noted(folder: Path) -> list[str]:
    """What ran, in order."""
    path = folder / "ran"
    return path.read_text().splitlines() if path.exists() else []


@dataclass(frozen=True)
class Add:
    """Adds the results of what it needs to its number."""

    key: str
    number: int
    folder: Path
    needs: tuple[str, ...] = ()
    group: str = "all"

    def run(self, *needed: int) -> int:
        note(self.folder, self.key)
        return self.number + sum(needed)


class Raise(Add):
    """Fails."""

    def run(self, *needed: int) -> int:
        note(self.folder, self.key)
        raise ZeroDivisionError("no number fits")


class DieOnce(Add):
    """Kills the worker that runs it, the first time, after others had a moment to finish."""

    def run(self, *needed: int) -> int:
        marker = self.folder / f"{self.key} died"
        if not marker.exists():
            marker.touch()
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(*needed)


class DieAlways(Add):
    """Kills every worker that runs it."""

    def run(self, *needed: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0
