"""Results as JSON lines, one record per run, which ``pandas.read_json(path, lines=True)`` reads."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowshot.benchmark.record_format import record_mistake
from lowshot.errors import InputError
from lowshot.files import Pathlike, exists, read_bytes, update_text, write_text
from lowshot.trees import parse_json

Record = dict[str, Any]
_WITHOUT_LINE = "delete this line, and the next run computes what is missing again"


class ResultStore:
    """A file of records, in which the records of a task appear together or not at all.

    Each record holds the fingerprint of its task (``unit``) and the number of the task's records (``unit_size``), so a
    task that was cut off by a kill is ignored.

    Args:
        path (path): A ``.jsonl`` file, or a folder for ``results.jsonl``; made by the first :meth:`add`.
    """

    def __init__(self, path: Pathlike) -> None:
        path = Path(path)
        self.path = path if path.suffix == ".jsonl" else path / "results.jsonl"
        self._tasks: dict[str, list[Record]] = {}
        self._torn = False
        if exists(self.path):
            self._read()

    @property
    def torn(self) -> bool:
        """True where the file ends in the middle of a record or of a task."""
        return self._torn

    @property
    def records(self) -> list[Record]:
        """All records of complete tasks, in the order in which they were added."""
        return [record for records in self._tasks.values() for record in records]

    @property
    def n_tasks(self) -> int:
        """The number of complete tasks."""
        return len(self._tasks)

    def find(self, fingerprint: str) -> list[Record] | None:
        """The records of a complete task, or None."""
        return self._tasks.get(fingerprint)

    def add(self, records: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Append the records of one task and make them durable."""
        added = [dict(record) for record in records]
        lines = _text(added)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._torn:
            self._rewrite()
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._tasks[added[0]["unit"]] = added
        return added

    def keep(self, fingerprints: Iterable[str]) -> None:
        """Drop all other tasks, such as those of earlier hyper-parameters."""
        wanted = set(fingerprints)
        if self._torn or wanted != set(self._tasks):
            self._put([task for task in self._tasks if task in wanted])

    def arrange(self, fingerprints: Iterable[str]) -> None:
        """Put these tasks in this order, in the places that they have among the others."""
        wanted = [task for task in dict.fromkeys(fingerprints) if task in self._tasks]
        placed, ordered = set(wanted), iter(wanted)
        order = [next(ordered) if task in placed else task for task in self._tasks]
        if order != list(self._tasks):
            self._put(order)

    def has_tags(self, tags: Mapping[str, Any]) -> bool:
        """True where every record has these entries."""
        return all(record.get(key) == value for record in self.records for key, value in tags.items())

    def retag(self, tags: Mapping[str, Any]) -> None:
        """Replace these entries in every record, where an earlier recipe wrote others for the same runs."""
        if not self.has_tags(tags):
            self._tasks = {task: [{**record, **tags} for record in records] for task, records in self._tasks.items()}
            self._rewrite()

    def _put(self, order: Sequence[str]) -> None:
        self._tasks = {task: self._tasks[task] for task in order}
        self._rewrite()

    def _read(self) -> None:
        lines, self._torn = _lines(self.path)
        found: dict[str, list[Record]] = {}
        for record in _parsed(lines, self.path):
            found.setdefault(record["unit"], []).append(record)
        for task, records in found.items():
            if len(records) >= records[0]["unit_size"]:
                self._tasks[task] = records[-records[0]["unit_size"] :]
            else:
                self._torn = True

    def _rewrite(self) -> None:
        write_records(self.path, self.records)
        self._torn = False


def read_records(path: Pathlike) -> list[Record]:
    """The records of any results file; tasks that were cut off by a kill are left out.

    Unlike :class:`ResultStore`, which holds the tasks of one method, it reads a file that holds the same task under
    several names: two representations of the same features, two names of one method.

    Raises:
        InputError: There is no such file, or a line is not a record.
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in _parsed(_lines(path)[0], path):
        key = (record["unit"], record.get("representation"), record.get("method"))
        groups.setdefault(key, []).append(record)
    complete = (group[-group[0]["unit_size"] :] for group in groups.values() if len(group) >= group[0]["unit_size"])
    return [record for group in complete for record in group]


def _lines(path: Pathlike) -> tuple[list[bytes], bool]:
    """The lines of a results file without one that was cut off, and whether the last one lacks its line break.

    A last line without a line break is complete if it is valid JSON, because no part of a record is valid JSON.
    """
    complete, _, tail = read_bytes(path, "results file").rpartition(b"\n")
    lines = complete.splitlines()
    if tail.strip():
        with contextlib.suppress(InputError):
            parse_json(tail, "")
            lines.append(tail)
    return lines, bool(tail)


def _parsed(lines: Iterable[bytes], path: Pathlike) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        where = f"results file {path}: line {number}"
        try:
            record: Record = parse_json(line, where)
        except InputError as error:
            raise InputError(
                f"{where} is not a record of lowshot{str(error).removeprefix(where)}; {_WITHOUT_LINE}"
            ) from None
        if (mistake := record_mistake(record)) is not None:
            raise InputError(f"{where}{mistake}; {_WITHOUT_LINE}")
        yield record


def write_records(path: Pathlike, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as JSON lines atomically."""
    write_text(path, _text(records))


def update_records(path: Pathlike, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records where the file does not hold just these; a file that is not there holds none."""
    text = _text(records)
    if text or exists(path):
        update_text(path, text)


def _text(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records)
