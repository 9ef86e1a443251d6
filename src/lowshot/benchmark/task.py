"""A task of the low-shot phase: one method on one setup, measured by one hook, recorded in one way.

The benchmark, the search for hyper-parameters and the few-shot episodes differ in their hook alone.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol

from lowshot import __version__
from lowshot.benchmark.method import Method
from lowshot.benchmark.results import Record, ResultStore
from lowshot.benchmark.setup_data import BenchmarkData, SetupData
from lowshot.classifiers.base import LowShotClassifier
from lowshot.parallel import Engine, TaskGroup, run_groups


class FittedBase(NamedTuple):
    """A method's classifier after its base phase, and the seconds that this took."""

    classifier: LowShotClassifier
    seconds: float


class Measure(Protocol):
    """The measurement of a task; a small object that can be pickled."""

    @property
    def n_runs(self) -> int:
        """The number of runs that the seconds of a task are divided by."""

    def __call__(self, task: Task, base: FittedBase, *needed: Sequence[Record]) -> list[Record]:
        """The entries of each record beyond those that :meth:`Task.run` writes itself."""


@dataclass(frozen=True)
class Task:
    """One method on one setup, measured by one hook.

    Attributes:
        key (str): The name in messages, by which other tasks need it.
        fingerprint (str): A digest of everything that its records depend on.
        method (Method): The method.
        data (SetupData): The features of the setup.
        measure (Measure): The hook.
        tags (dict): Further entries of every record.
        needs (tuple of str): The keys of the tasks whose records the hook is given.
        base_method (Method or None): The method that learns from the base classes, where its fit serves several
            methods; None for ``method``.
    """

    key: str
    fingerprint: str
    method: Method
    data: SetupData
    measure: Measure
    tags: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    base_method: Method | None = None

    @property
    def group(self) -> str:
        """Equal for tasks that share what is learned from the base classes."""
        return f"{(self.base_method or self.method).cache_key} {self.data.name}"

    def run(self, *needed: Sequence[Record]) -> list[Record]:
        """The records of the task, given those of the tasks that it needs."""
        method = self.method
        base = FittedBase(*(self.base_method or method).fit_base(self.data))
        start = time.perf_counter()
        found = self.measure(self, base, *needed)
        shared = {
            **self.tags,
            "classifier": method.classifier_name,
            "params": method.params,
            "generator": method.generator_name,
            "n_per_class": method.n_per_class,
            "setup": self.data.name,
            "seed": method.seed,
            "unit": self.fingerprint,
            "unit_size": len(found),
            "seconds": round((time.perf_counter() - start) / self.measure.n_runs, 6),
            **provenance(),
        }
        return [{**shared, **entries} for entries in found]


class TaskList:
    """The tasks of one method on one representation, and the store that holds their records.

    Args:
        tasks (sequence of Task): The tasks, in the order in which their records are given.
        data (BenchmarkData): The data whose setups the tasks see.
        store (ResultStore): The file of their records; a task that is in it is not run again.
    """

    def __init__(self, tasks: Sequence[Task], data: BenchmarkData, store: ResultStore) -> None:
        self.tasks, self.data, self.store = tasks, data, store

    def group(self, name: str, finish: Callable[[bool], None] = lambda last: None) -> TaskGroup:
        """The tasks that are left to do; tasks that share a fit of the base classes follow each other."""
        found = {task.key: self.store.find(task.fingerprint) for task in self.tasks}
        due = [task for task in self.tasks if found[task.key] is None]
        for setup in {task.data.name: task.data for task in due}.values():
            self.data.share(setup)
        groups = list(dict.fromkeys(task.group for task in due))
        due.sort(key=lambda task: groups.index(task.group))
        known = {key: records for key, records in found.items() if records is not None}
        return TaskGroup(name, due, self._add, finish, known, len(self.tasks))

    def run(self, name: str, engine: Engine | None, title: str) -> list[Record]:
        """Do what is left to do; the records of all tasks."""
        group = self.group(name)
        run_groups([group], engine, title=title)
        if group.tasks:
            self.store.arrange(task.fingerprint for task in self.tasks)
        return self.records

    @property
    def fingerprints(self) -> list[str]:
        """The fingerprints of the tasks, in order."""
        return [task.fingerprint for task in self.tasks]

    @property
    def records(self) -> list[Record]:
        """The records of all tasks so far, in order.

        Tags are in no fingerprint: records that were added to the store under others have today's here.
        """
        return [{**record, **task.tags} for task in self.tasks for record in self.store.find(task.fingerprint) or ()]

    def _add(self, task: Task, records: list[Record]) -> None:
        paths, names = self.data.test.paths, self.data.split.label_names
        for example in records[0].get("examples", ()):
            example["path"] = paths[example["row"]] if paths else None
        if "classes" in records[0]:
            records[0]["class_names"] = [names[label] for kind in records[0]["classes"].values() for label in kind]
        self.store.add(records)


def task_key(tags: Mapping[str, Any], setup: str, *rest: str) -> str:
    """The key of a task: representation and method, setup, and what tells it apart from its neighbours."""
    training = f"@{tags['training']}" if tags.get("training", 1) > 1 else ""
    return " ".join([f"{tags['representation']}{training}/{tags['method']}", setup, *rest])


@cache
def _versions() -> dict[str, str]:
    libraries = {name: version(name) for name in ("torch", "numpy", "scikit-learn")}
    return {"lowshot": __version__, "python": platform.python_version(), **libraries}


def provenance() -> dict[str, Any]:
    """The entries of a record about its origin: versions, machine, time."""
    return {"versions": _versions(), "host": platform.node(), "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
