"""What one method is measured by on one representation: units of work, as a job of a sweep or here and now."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sklearn.base import clone

from lowshot.benchmark.arena import BenchmarkData
from lowshot.benchmark.method import GeneratorSource, Method, ShotGenerator
from lowshot.benchmark.packed import PackedArena, Scratch
from lowshot.benchmark.results import Record, ResultStore
from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import InputError
from lowshot.parallel.engines import Engine
from lowshot.parallel.scheduler import Job, Task, run_jobs
from lowshot.registry import CLASSIFIERS


class MeasuredUnit(Task, Protocol):
    """A task that gives records; see :class:`~lowshot.benchmark.units.Unit`."""

    unit: str
    setup: str
    arena: PackedArena | None


class Measurement:
    """All units of one method on one representation, in the order in which their records are given.

    Args:
        data: features, split and experiments.
        tags: further entries of every record, among them ``representation`` and ``method``. They are in no digest.
        packed_shots: numbers of shots that the packed features have to serve; the same ones for all measurements of a
            sweep, so that they share these files.

    Attributes:
        units: made by a subclass.
    """

    units: Sequence[MeasuredUnit]

    def __init__(self, data: BenchmarkData, tags: Mapping[str, Any], packed_shots: Sequence[int]) -> None:
        self.data = data
        self.tags = tags
        self._packed_shots = packed_shots

    def job(
        self,
        name: str,
        store: ResultStore,
        scratch: Scratch,
        finish: Callable[[bool], None] = lambda last: None,
    ) -> Job:
        """What is left to do: units that ``store`` has are not run again, the others are added to it."""
        found = {unit.key: store.find(unit.unit) for unit in self.units}
        due = [unit for unit in self.units if found[unit.key] is None]
        for unit in due:
            unit.arena = self.data.arena(unit.setup).pack(scratch, self._packed_shots)

        def done(unit: MeasuredUnit, records: list[Record]) -> None:
            self._complete(records)
            store.add(records)

        known = {key: records for key, records in found.items() if records is not None}
        return Job(name, due, done, finish, known, len(self.units))

    def run(self, name: str, store: ResultStore, scratch: Scratch, engine: Engine | None, title: str) -> list[Record]:
        """Do what is left to do, and give the records of all units."""
        job = self.job(name, store, scratch)
        run_jobs([job], engine, title=title)
        if job.tasks:
            store.arrange(unit.unit for unit in self.units)
        return self.records(store)

    def records(self, store: ResultStore) -> list[Record]:
        """The records of all units, whatever the order in which they were computed.

        Tags are in no digest: a unit may have been added to the store under others, and has today's here.
        """
        return [{**record, **self.tags} for unit in self.units for record in store.find(unit.unit) or ()]

    def _complete(self, records: list[Record]) -> None:
        """Add what only the driver knows to the records of a unit."""


def as_method(
    classifier: LowShotClassifier | str,
    params: Mapping[str, Any] | None,
    generator: ShotGenerator | None,
    n_per_class: int,
    seed: int,
    scratch: Scratch,
    examples: int = 0,
) -> Method:
    """A method from what a caller in Python has: an estimator or a name, and maybe a fitted generator.

    Raises:
        InputError: no classifier of lowshot, unknown parameters, or only one of ``generator`` and ``n_per_class``.
    """
    known = CLASSIFIERS.build(classifier, **(params or {})) if isinstance(classifier, str) else classifier
    if not isinstance(known, LowShotClassifier):
        raise InputError(f"{type(known).__name__} is no LowShotClassifier (see lowshot.classifiers.base)")
    if params and not isinstance(classifier, str):
        known = clone(known).set_params(**params)
    if (generator is None) != (n_per_class == 0):
        raise InputError("generator and n_per_class go together: give both or neither")
    source = None if generator is None else GeneratorSource(generator, scratch)
    return Method(known, source, n_per_class, seed, examples)


@contextlib.contextmanager
def scratch_beside(store: ResultStore | None) -> Iterator[Scratch]:
    """A folder beside the results, which a killed run leaves to the next; else one of the system's."""
    if store is not None:
        scratch = Scratch(store.path.with_suffix(".scratch"))
        yield scratch
        scratch.remove()
        return
    with tempfile.TemporaryDirectory(prefix="lowshot-") as name:
        yield Scratch(Path(name))
