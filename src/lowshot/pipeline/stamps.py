"""Stamps: which stages have finished, from which inputs, and whether their outputs still stand.

A stage that finished leaves a stamp. It is up to date when the stamp's fingerprint is today's and its outputs are still
there and intact.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowshot.errors import InputError, LowshotError
from lowshot.files import read_json, write_json
from lowshot.pipeline.stages.base import Stage

_UPSTREAM = "a stage before it changed"


@dataclass(frozen=True)
class Status:
    """The decision whether a stage runs, and the reason that ``--dry-run`` prints."""

    stage: Stage
    runs: bool
    why: str


class Stamps:
    """The stamps of finished stages, one JSON file each, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def statuses(self, stages: Iterable[Stage], force: Iterable[str] = ()) -> list[Status]:
        """The status of each stage in order; a stage runs as well when one that it needs runs."""
        force = set(force)
        running: set[str] = set()
        found = []
        for stage in stages:
            upstream = [need.key for need in stage.needs if need.key in running]
            why = "asked for with --force" if stage.kind in force else self.stale(stage)
            if upstream and why in (None, _UPSTREAM):
                why = f"after {', '.join(upstream)}"
            if why is not None:
                running.add(stage.key)
            found.append(Status(stage, why is not None, why or f"up to date ({self._when(stage)})"))
        return found

    def stale(self, stage: Stage) -> str | None:
        """The reason why the last result of a stage is out of date, or None when it is not."""
        stamp = self.read(stage)
        if stamp is None:
            return "has not finished yet"
        if missing := [path for path in stage.outputs if not path.exists()]:
            return f"{missing[0]} is missing"
        if stamp["fingerprint"] == stage.fingerprint:
            return stage.damage()
        changes = differences(stamp["inputs"], stage.inputs)
        return "; ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "") or _UPSTREAM

    def read(self, stage: Stage) -> dict[str, Any] | None:
        """The stamp of a stage, or None when it never finished, or when nobody can tell."""
        path = self._path(stage)
        try:
            stamp = read_json(path, "stamp") if path.exists() else None
        except InputError:
            return None
        return stamp if isinstance(stamp, dict) and {"fingerprint", "inputs", "seconds"} <= stamp.keys() else None

    def write(self, stage: Stage, seconds: float) -> None:
        """Record that a stage finished; refuses when an output is missing."""
        if missing := [path for path in stage.outputs if not path.exists()]:
            raise LowshotError(f"stage {stage.key} ended without writing {missing[0]}")
        write_json(
            self._path(stage),
            {
                "fingerprint": stage.fingerprint,
                "inputs": dict(stage.inputs),
                "seconds": round(seconds, 2),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            },
        )

    def clear(self, stage: Stage) -> None:
        """Forget that a stage finished; done before it runs again, so that a kill leaves it unfinished."""
        self._path(stage).unlink(missing_ok=True)

    def _when(self, stage: Stage) -> str:
        stamp = self.read(stage) or {}
        return f"finished {str(stamp.get('finished', '?'))[:16].replace('T', ' ')}"

    def _path(self, stage: Stage) -> Path:
        return self.folder / f"{stage.key.replace(':', '-').replace('/', '-')}.json"


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
