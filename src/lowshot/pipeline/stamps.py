"""Stamps: which stages have finished, from which inputs, and the files that they wrote.

A stage that finished leaves a stamp, ``state/KIND/SUBJECT.json``. It is up to date when the stamp's fingerprint is
today's, its files are those that it wrote, and the stages it needs have written nothing else since.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowshot.errors import InputError, LowshotError
from lowshot.files import exists, fingerprint, read_json, read_text, write_bytes, write_json, write_text
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.written import is_intact, known_lines, record_of
from lowshot.progress import say

_UPSTREAM = "a stage before it changed"
_ENTRIES: dict[str, Any] = {
    "fingerprint": str,
    "inputs": dict,
    "needs": dict,
    "files": dict,
    "result": str,
    "seconds": (int, float),
}


NEVER_DONE = "not done yet"
"""The reason to run a stage that never finished."""

_DIGEST = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True)
class Status:
    """The decision whether a stage runs, and the reason that ``--dry-run`` prints.

    Attributes:
        stage (Stage): The stage.
        runs (bool): True where it runs.
        why (str): The reason.
        follows (bool): True where the only reason is that a stage before it runs. Should that one write the same
            files again, as after a repair, there is nothing to do.
    """

    stage: Stage
    runs: bool
    why: str
    follows: bool = False


class Stamps:
    """The stamps of finished stages, one JSON file each.

    Args:
        folder (Path): The folder of the stamps, in the output folder that the paths in them are relative to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = folder.parent

    def statuses(self, stages: Iterable[Stage], force: Iterable[str] = ()) -> list[Status]:
        """The status of each stage in order; a stage runs as well when one that it needs runs."""
        force = set(force)
        running: set[str] = set()
        found = []
        for stage in stages:
            upstream = [need.key for need in stage.needs if need.key in running]
            own = "asked for with --force" if stage.kind in force else self.stale(stage)
            why = f"after {', '.join(upstream)}" if upstream and own in (None, _UPSTREAM) else own
            if why is not None:
                running.add(stage.key)
            follows = why is not None and own is None
            found.append(Status(stage, why is not None, why or f"up to date ({self._when(stage)})", follows))
        return found

    def stale(self, stage: Stage) -> str | None:
        """The reason why the last result of a stage is out of date, or None when it is not."""
        stamp = self.read(stage)
        if stamp is None:
            left = self.left(stage)
            return f"continues: {left} done" if left else NEVER_DONE
        if missing := [path for path in (*stage.outputs, *stage.shared) if not exists(path)]:
            return f"{missing[0]} is missing"
        if stamp["fingerprint"] != stage.fingerprint:
            changes = differences(stamp["inputs"], stage.inputs)
            return "; ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "") or _UPSTREAM
        if damage := next(self._damage(stamp), None):
            return damage
        for need in stage.needs:
            upstream = self.read(need)
            if upstream is not None and upstream["result"] != stamp["needs"].get(need.key):
                return f"{need.key} has written other files since"
        return None

    def damage(self, stage: Stage) -> list[str]:
        """The damaged files of a finished stage, every one read whole, a line each."""
        stamp = self.read(stage)
        return [] if stamp is None else list(self._damage(stamp, deep=True))

    def read(self, stage: Stage) -> dict[str, Any] | None:
        """The stamp of a stage, or None when it never finished, or when nobody can tell."""
        path = self._path(stage)
        try:
            stamp = read_json(path, "stamp") if exists(path) else None
        except InputError:
            return None
        sound = isinstance(stamp, dict) and all(isinstance(stamp.get(key), kind) for key, kind in _ENTRIES.items())
        return stamp if sound else None

    def write(self, stage: Stage, seconds: float) -> None:
        """Record that a stage finished; refuses when an output is missing."""
        if missing := [path for path in (*stage.outputs, *stage.shared) if not exists(path)]:
            raise LowshotError(f"stage {stage.key} ended without writing {missing[0]}")
        files = self._files(stage)
        write_json(
            self._path(stage),
            {
                "fingerprint": stage.fingerprint,
                "inputs": dict(stage.inputs),
                "needs": {need.key: (self.read(need) or {}).get("result") for need in stage.needs},
                "result": fingerprint([files[self._relative(path)]["sha256"] for path in stage.outputs]),
                "files": files,
                "seconds": round(seconds, 2),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            },
        )
        with contextlib.suppress(OSError):
            self._begun(stage).unlink(missing_ok=True)

    def confirm(self, stage: Stage) -> None:
        """Note today's times of the files of a stage that was found up to date, so as not to read them whole again."""
        stamp = self.read(stage)
        if stamp is None:
            return
        with contextlib.suppress(OSError):  # a folder that can only be read
            times = {name: (self._root / name).stat().st_mtime_ns for name in stamp["files"]}
            files = {name: {**record, "mtime_ns": times[name]} for name, record in stamp["files"].items()}
            if files != stamp["files"]:
                write_json(self._path(stage), {**stamp, "files": files})

    def clear(self, stage: Stage) -> None:
        """Forget that a stage finished, before it runs again, so that a kill leaves it unfinished.

        Where its work goes on from its files, first put the damaged ones aside, and put back what the stamp kept.
        """
        stamp = self.read(stage)
        if stamp is not None and stage.resumes:
            for name, record in stamp["files"].items():
                self._mend(self._root / name, record)
        self._path(stage).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # where nothing can be written the stage will say so
            write_text(self._begun(stage), stage.fingerprint)

    def left(self, stage: Stage) -> str:
        """What an interrupted run of a stage with today's inputs has left to go on from; empty where there is none."""
        path = self._begun(stage)
        try:
            return stage.left() if exists(path) and read_text(path) == stage.fingerprint else ""
        except InputError:
            return ""  # a damaged file, which the stage is yet to mend

    @contextmanager
    def rewriting(self, stage: Stage) -> Iterator[None]:
        """Let the files of a finished stage be written anew with the same result; a kill leaves it unfinished."""
        stamp = self.read(stage)
        assert stamp is not None
        self._path(stage).unlink()
        yield
        write_json(self._path(stage), {**stamp, "files": self._files(stage)})

    def _files(self, stage: Stage) -> dict[str, Any]:
        paths = dict.fromkeys((*stage.outputs, *sorted(stage.side_outputs())))
        return {self._relative(path): record_of(path, path in stage.irreplaceable) for path in paths}

    def _damage(self, stamp: Mapping[str, Any], deep: bool = False) -> Iterator[str]:
        for name, record in stamp["files"].items():
            path = self._root / name
            try:
                if not is_intact(path, record, deep):
                    yield f"{path} is damaged"
            except FileNotFoundError:
                yield f"{path} is missing"
            except (OSError, LookupError, TypeError) as error:
                yield f"{path} cannot be checked: {getattr(error, 'strerror', None) or error}"

    def _mend(self, path: Path, record: Mapping[str, Any]) -> None:
        try:
            if is_intact(path, record, deep=True):
                return
        except (OSError, LookupError, TypeError):
            pass  # then it is no better than damaged
        if "text" in record:
            write_bytes(path, record["text"].encode("utf-8"))
            say(f"  {path} was damaged: its copy in {self.folder} takes its place", style="yellow")
        elif "lines" in record:
            write_bytes(path, known_lines(path, record))
            say(f"  {path} was damaged: what is intact stays", style="yellow")
        elif exists(path):
            aside = path.with_name(f"{path.name}.damaged")
            os.replace(path, aside)
            say(f"  {path} is damaged, and kept as {aside.name}", style="yellow")

    def _when(self, stage: Stage) -> str:
        stamp = self.read(stage) or {}
        return f"finished {str(stamp.get('finished', '?'))[:16].replace('T', ' ')}"

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path, self._root)

    def _begun(self, stage: Stage) -> Path:
        """The file that is there from the start of a stage to its end, with the fingerprint of what it does."""
        return self._path(stage).with_suffix(".begun")

    def _path(self, stage: Stage) -> Path:
        return (
            self.folder / stage.kind / f"{stage.subject}.json" if stage.subject else self.folder / f"{stage.kind}.json"
        )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Readable changes between two nested mappings: ``train.epochs: 5 → 10``, and ``knn.py changed`` for digests."""
    before, after = _flat(old), _flat(new)
    changed = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
    return [_change(key, before.get(key, "unset"), after.get(key, "unset")) for key in changed]


def _change(key: str, before: Any, after: Any) -> str:
    if (before == "unset" or _DIGEST.fullmatch(str(before))) and _DIGEST.fullmatch(str(after)):
        return f"{key} changed"
    return f"{key}: {_short(before)} → {_short(after)}"


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
