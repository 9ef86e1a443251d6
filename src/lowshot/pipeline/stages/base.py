"""Stops, what each depends on, and whether its last result still stands.

A stop's fingerprint covers its own inputs (recipe sections, data listings, seed) and the fingerprints of the stops
it needs, so a change anywhere upstream reaches everything downstream and nothing else. A stop that finished leaves
a stamp; it is up to date when the stamp's fingerprint is today's and its outputs are still there and whole.

A stop does its work in one of two ways. With an ``action`` it is one call in this process. With a ``job`` it is many
tasks: neighbours of the same kind that are due form one sweep over all their tasks (``lowshot.parallel.scheduler``), on
the engine that the user chose. To make such a stop, give a function that returns a ``Job``: the tasks that earlier runs
have not finished (each small, picklable, with a readable key), ``on_done`` that writes a task's result down at once,
and ``finish`` that writes the outputs of the stop. The function is called when everything the stop needs is there. The
stop is stamped as soon as its own tasks are finished and ``finish`` has returned; after a kill the function is called
again and finds in its own files what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.errors import InputError, LowshotError
from lowshot.files import fingerprint, read_json, write_json

if TYPE_CHECKING:
    from lowshot.parallel.scheduler import Job

KINDS = ("split", "train", "extract", "fit-generator", "fit-classifier", "tune", "evaluate", "episodes", "report")

_UPSTREAM = "a stop before it changed"


@dataclass(frozen=True)
class Stop:
    """One piece of work of a plan.

    Attributes:
        kind: one of ``KINDS``.
        subject: what it works on, e.g. a representation; part of the key.
        inputs: JSON-like values that the result depends on.
        needs: the stops whose results it reads.
        outputs: the files that must exist afterwards.
        action: does the work.
        job: makes the tasks of the work, in place of ``action``.
        damage: says what has become of the outputs since they were written; None while they are whole.
    """

    kind: str
    subject: str
    inputs: Mapping[str, Any]
    needs: tuple[Stop, ...]
    outputs: tuple[Path, ...]
    action: Callable[[], None] | None = field(default=None, compare=False)
    job: Callable[[], Job] | None = field(default=None, compare=False)
    damage: Callable[[], str | None] = field(default=lambda: None, compare=False)

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}" if self.subject else self.kind

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.kind, dict(self.inputs), [stop.fingerprint for stop in self.needs])


@dataclass(frozen=True)
class Status:
    """Whether a stop has to run, and the reason that ``--dry-run`` prints."""

    stop: Stop
    runs: bool
    why: str


class Stamps:
    """The records of finished stops, one JSON file each, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def statuses(self, stops: Iterable[Stop], force: Iterable[str] = ()) -> list[Status]:
        """The state of each stop in order; a stop runs as well when one that it needs runs."""
        force = set(force)
        running: set[str] = set()
        found = []
        for stop in stops:
            upstream = [need.key for need in stop.needs if need.key in running]
            why = "asked for with --force" if stop.kind in force else self.stale(stop)
            if upstream and why in (None, _UPSTREAM):
                why = f"after {', '.join(upstream)}"
            if why is not None:
                running.add(stop.key)
            found.append(Status(stop, why is not None, why or f"up to date ({self._when(stop)})"))
        return found

    def stale(self, stop: Stop) -> str | None:
        """Why the last result of a stop does not stand, or None when it does."""
        stamp = self.read(stop)
        if stamp is None:
            return "has not finished yet"
        if missing := [path for path in stop.outputs if not path.exists()]:
            return f"{missing[0]} is missing"
        if stamp["fingerprint"] == stop.fingerprint:
            return stop.damage()
        changes = differences(stamp["inputs"], stop.inputs)
        return "; ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "") or _UPSTREAM

    def read(self, stop: Stop) -> dict[str, Any] | None:
        """The stamp of a stop, or None when it never finished, or when nobody can tell."""
        path = self._path(stop)
        try:
            stamp = read_json(path, "stamp") if path.exists() else None
        except InputError:
            return None
        return stamp if isinstance(stamp, dict) and {"fingerprint", "inputs", "seconds"} <= stamp.keys() else None

    def write(self, stop: Stop, seconds: float) -> None:
        """Record that a stop finished; refuses when an output is missing."""
        if missing := [path for path in stop.outputs if not path.exists()]:
            raise LowshotError(f"stop {stop.key} ended without writing {missing[0]}")
        write_json(
            self._path(stop),
            {
                "fingerprint": stop.fingerprint,
                "inputs": dict(stop.inputs),
                "seconds": round(seconds, 2),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            },
        )

    def clear(self, stop: Stop) -> None:
        """Forget that a stop finished; done before it runs again, so that a kill leaves it unfinished."""
        self._path(stop).unlink(missing_ok=True)

    def _when(self, stop: Stop) -> str:
        stamp = self.read(stop) or {}
        return f"finished {str(stamp.get('finished', '?'))[:16].replace('T', ' ')}"

    def _path(self, stop: Stop) -> Path:
        return self.folder / f"{stop.key.replace(':', '-').replace('/', '-')}.json"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Readable changes between two nested mappings: ``train.epochs: 5 → 10``."""
    before, after = _flat(old), _flat(new)
    changed = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
    return [f"{key}: {_short(before.get(key, 'unset'))} → {_short(after.get(key, 'unset'))}" for key in changed]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "…"
