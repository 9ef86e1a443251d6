"""Tasks that worker processes can import, which write down each time they run, and a function that runs them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowshot.parallel import Engine, run_tasks


def note(folder: Path, line: str) -> None:
    """Append a line to the list of what ran; one write, so that processes do not mix theirs."""
    with open(folder / "ran", "a") as file:
        file.write(f"{line}\n")


def noted(folder: Path) -> list[str]:
    """Return the names of the tasks that ran, in order."""
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


@dataclass(frozen=True)
class Last(Add):
    """Waits until the tasks that it names have run, and some time for what they report."""

    after: tuple[str, ...] = ()

    def run(self, *needed: int) -> int:
        for _ in range(6000):
            if set(self.after) <= set(noted(self.folder)):
                break
            time.sleep(0.01)
        time.sleep(0.5)
        return super().run(*needed)


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


def chain(folder: Path) -> list[Add]:
    """Four tasks, and four that each need two of those."""
    first = [Add(f"a{i}", 10 * i, folder, group=f"g{i % 2}") for i in range(4)]
    return first + [Add(f"b{i}", i, folder, (f"a{i}", f"a{(i + 1) % 4}")) for i in range(4)]


#: The results of the chain.
CHAIN_SUMS = {"a0": 0, "a1": 10, "a2": 20, "a3": 30, "b0": 10, "b1": 31, "b2": 52, "b3": 33}


def sums(engine: Engine, tasks: Sequence[Add]) -> dict[str, int]:
    """The results of tasks, each of which must be reported once."""
    results: dict[str, int] = {}

    def done(task: Add, result: int) -> None:
        assert task.key not in results
        results[task.key] = result

    run_tasks(tasks, engine, done)
    return results
