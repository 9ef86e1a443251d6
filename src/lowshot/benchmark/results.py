"""Results as JSON lines: one record a run, appended whole, readable by ``pandas.read_json(path, lines=True)``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowshot.errors import InputError
from lowshot.io import Pathlike, atomic_path, read_bytes

Record = dict[str, Any]


class ResultStore:
    """A file of records, grouped in units of work that appear whole or not at all.

    A unit is what is computed together: the runs of one method, setup and number of shots over a block of experiments.
    Each of its records names it (``unit``) and says how many there are (``unit_size``), so one cut off by a kill is
    ignored.

    Args:
        path: a ``.jsonl`` file, or a folder for ``results.jsonl``; made by the first :meth:`add`.
    """

    def __init__(self, path: Pathlike) -> None:
        path = Path(path)
        self.path = path if path.suffix == ".jsonl" else path / "results.jsonl"
        self._units: dict[str, list[Record]] = {}
        self._torn = False
        if self.path.exists():
            self._read()

    @property
    def records(self) -> list[Record]:
        """All records of complete units, in the order in which they were added."""
        return [record for records in self._units.values() for record in records]

    def find(self, unit: str) -> list[Record] | None:
        """The records of a complete unit, or None."""
        return self._units.get(unit)

    def add(self, records: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Append the records of one unit and make them durable."""
        unit = [dict(record) for record in records]
        lines = "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in unit)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._torn:
            self._rewrite()
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._units[unit[0]["unit"]] = unit
        return unit

    def keep(self, units: Iterable[str]) -> None:
        """Drop every unit but these, such as those of earlier hyper-parameters."""
        wanted = set(units)
        if self._torn or wanted != set(self._units):
            self._put([unit for unit in self._units if unit in wanted])

    def arrange(self, units: Iterable[str]) -> None:
        """Put these units in this order, in the places that they have among the others."""
        wanted = [unit for unit in dict.fromkeys(units) if unit in self._units]
        placed, ordered = set(wanted), iter(wanted)
        order = [next(ordered) if unit in placed else unit for unit in self._units]
        if order != list(self._units):
            self._put(order)

    def _put(self, order: Sequence[str]) -> None:
        self._units = {unit: self._units[unit] for unit in order}
        self._rewrite()

    def _read(self) -> None:
        whole, _, tail = read_bytes(self.path, "results file").rpartition(b"\n")
        self._torn = bool(tail)
        found: dict[str, list[Record]] = {}
        for record in _parsed(whole, self.path):
            found.setdefault(record["unit"], []).append(record)
        for unit, records in found.items():
            if len(records) >= records[0]["unit_size"]:
                self._units[unit] = records[-records[0]["unit_size"] :]
            else:
                self._torn = True

    def _rewrite(self) -> None:
        write_records(self.path, self.records)
        self._torn = False


def read_records(path: Pathlike) -> list[Record]:
    """The records of a results file, whoever put it together; of a unit that a kill cut off there are none.

    Unlike :class:`ResultStore`, which holds the work of one method, it takes a file in which the same unit stands under
    several names: two representations of the same features, two names of one method.

    Raises:
        InputError: there is no such file, or a line is not a record.
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in _parsed(read_bytes(path, "results file").rpartition(b"\n")[0], path):
        key = (record["unit"], record.get("representation"), record.get("method"))
        groups.setdefault(key, []).append(record)
    whole = (group[-group[0]["unit_size"] :] for group in groups.values() if len(group) >= group[0]["unit_size"])
    return [record for group in whole for record in group]


def _parsed(text: bytes, path: Pathlike) -> Iterator[Record]:
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = json.loads(line)
            _ = record["unit"], record["unit_size"]
        except (ValueError, KeyError, TypeError):
            raise InputError(f"results file {path}: line {number} is not a record of lowshot") from None
        yield record


def write_records(path: Pathlike, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as JSON lines atomically."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records)
