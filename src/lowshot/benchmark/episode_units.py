"""Episodes as tasks of a sweep: a unit is one method and one design, over all its tasks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lowshot.benchmark.arena import BenchmarkData
from lowshot.benchmark.episodes import DRAWN_TOGETHER, EpisodeDesign, TaskSampler, mean_over_tasks, novel_rows
from lowshot.benchmark.measurement import Measurement, as_method, scratch_beside
from lowshot.benchmark.method import SETUPS, Method, ShotGenerator
from lowshot.benchmark.packed import PackedArena
from lowshot.benchmark.results import Record, ResultStore
from lowshot.benchmark.units import protocol, provenance
from lowshot.classifiers.base import LowShotClassifier
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.files import fingerprint
from lowshot.parallel.engines import Engine

# Floats of the shots, queries and weights of the tasks that are scored at once.
_FLOATS = 1 << 24
# Novel features up to this size are read once; larger ones task by task.
_POOL_BYTES = 1 << 28


def run_episodes(
    train: FeatureStore,
    test: FeatureStore,
    split: ClassSplit,
    classifier: LowShotClassifier | str,
    params: Mapping[str, Any] | None = None,
    *,
    n_way: int = 5,
    n_shots: Sequence[int] = (1, 5),
    n_query: int = 15,
    n_tasks: int = 600,
    setup: str = "test",
    generator: ShotGenerator | None = None,
    n_per_class: int = 0,
    seed: int = 0,
    store: ResultStore | None = None,
    tags: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> list[Record]:
    """Run standard N-way K-shot episodes for one method; see :mod:`lowshot.benchmark.episodes`.

    The tasks depend on labels, design and seed alone, so all methods and representations meet the same ones. What a
    method learns from the base classes it learns once; in a task the N novel classes alone compete.

    Args:
        train: features whose base classes a method may learn from.
        test: features that the tasks are drawn from, where they hold enough images of each novel class, else ``train``.
        split: which classes are base and novel.
        classifier: an estimator, which is cloned, or a registered name.
        params: parameters of the classifier that differ from its own.
        n_way: classes of a task.
        n_shots: shots of each; every number is a design of its own.
        n_query: queries of each class of a task.
        n_tasks: how many tasks.
        setup: "test", or "val" to report on the classes that hyper-parameters are chosen on.
        generator: a fitted generator that adds to the shots of each task.
        n_per_class: with ``generator``, shots and generated features together per class of a task.
        seed: of everything random.
        store: where records are kept and found again.
        tags: further entries of every record, as :func:`~lowshot.benchmark.run_benchmark` has them.
        engine: where the tasks are computed; ``Engine()`` when None.

    Returns:
        One record per number of shots: ``accuracy``, ``half_width`` of its 95 % interval, ``n_tasks``.

    Raises:
        InputError: features and split do not belong together, fewer than N novel classes, or too few images of one.
    """
    unused = Experiments.random(train.labels, train.paths, n_experiments=1, max_shots=1)
    with scratch_beside(store) as scratch:
        method = as_method(classifier, params, generator, n_per_class, seed, scratch)
        benchmark = EpisodeBenchmark(
            BenchmarkData(train, test, split, unused),
            method,
            designs=[EpisodeDesign(n_way, n, n_query, n_tasks) for n in n_shots],
            setup=setup,
            tags={"representation": train.path.parent.name, "method": method.name, **(tags or {})},
        )
        store = store or ResultStore(scratch.folder / "episodes.jsonl")
        return benchmark.run(method.name, store, scratch, engine, title="episodes")


@dataclass
class EpisodeUnit:
    """All tasks of one design for one method: a task of a sweep.

    Attributes:
        key: for messages.
        unit: the fingerprint of everything that its result depends on.
        method: what is measured.
        setup: whose novel classes are met.
        sampler: of the tasks.
        store: the features of the part that they come from.
        tags: further entries of the record.
        arena: the setup's base examples.
    """

    key: str
    unit: str
    method: Method
    setup: str
    sampler: TaskSampler
    store: FeatureStore
    tags: Mapping[str, Any]
    arena: PackedArena | None = None

    needs: Sequence[str] = ()

    @property
    def group(self) -> str:
        """Units that share what is learned from the base classes."""
        return f"{self.tags['representation']}/{self.tags['method']} {self.setup}"

    def run(self) -> list[Record]:
        """The mean accuracy over all tasks and half its interval, as one record."""
        assert self.arena is not None
        _, base_seconds = self.method.fitted_on_base(self.arena)
        start = time.perf_counter()
        accuracies = np.concatenate(list(self._accuracies()))
        mean, half_width = mean_over_tasks(accuracies)
        seconds = (time.perf_counter() - start) / len(accuracies)
        return [
            {
                **self.tags,
                "classifier": self.method.classifier_name,
                "params": self.method.params,
                "generator": self.method.generator_name,
                "n_per_class": self.method.n_per_class,
                "setup": self.setup,
                **asdict(self.sampler.design),
                "accuracy": mean,
                "half_width": half_width,
                "seed": self.method.seed,
                "tasks": self.sampler.digest,
                "unit": self.unit,
                "unit_size": 1,
                "task": self.unit,
                "seconds": round(seconds, 6),
                "base_seconds": round(base_seconds, 4),
                **provenance(),
            }
        ]

    def _accuracies(self) -> Iterator[np.ndarray]:
        """(T,) the share of each task's queries that get the right one of its classes, some tasks at a time."""
        assert self.arena is not None
        known, _ = self.method.fitted_on_base(self.arena)
        design, take = self.sampler.design, self._reader()
        truth = np.repeat(np.arange(design.n_way), design.n_query)
        per_task = design.n_way * (max(design.n_shots, self.method.n_per_class) + design.n_query)
        held = (per_task + 2 * (design.n_way + len(self.arena.classes.base))) * self.store.dim
        at_once = int(np.clip(_FLOATS // held, 1, DRAWN_TOGETHER))
        for number, tasks in enumerate(self.sampler):
            sequence = np.random.SeedSequence([self.method.seed, SETUPS.index(self.setup), design.n_shots, number])
            seeds = (sequence.generate_state(DRAWN_TOGETHER) >> 1).astype(int).tolist()
            for first in range(0, len(tasks.classes), at_once):
                some = slice(first, min(first + at_once, len(tasks.classes)))
                shots = self._generated(take(tasks.shots[some]), seeds[some])
                queries = take(tasks.queries[some].reshape(some.stop - first, -1))
                answers = known.scores_of_tasks(shots, queries, seeds[some]).argmax(axis=2)
                yield (answers == truth).mean(axis=1)

    def _generated(self, shots: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """(T, N, K + G, D): the (T, N, K, D) shots and what the method's generator makes of them, if it has one."""
        source = self.method.generator
        if source is None:
            return shots
        n_way, n_shots, dim = shots.shape[1:]
        wanted = max(n_shots, self.method.n_per_class)
        labels = np.repeat(np.arange(n_way), n_shots)
        generator = source.get()
        made = np.empty((len(shots), n_way, wanted, dim), np.float32)
        for task, (own, seed) in enumerate(zip(shots, seeds)):
            features, classes = generator.generate(own.reshape(-1, dim), labels, wanted, random_state=seed)
            made[task] = features[np.argsort(classes, kind="stable")].reshape(n_way, wanted, dim)
        return made

    def _reader(self) -> Any:
        """A function from rows of any shape to their features: from memory where they fit, else from the file."""
        rows = self.sampler.rows
        if len(rows) * self.store.dim * 4 > _POOL_BYTES:
            return lambda wanted: self.store.rows(wanted.ravel()).reshape(*wanted.shape, self.store.dim)
        pool = self.store.rows(rows)
        return lambda wanted: pool[np.searchsorted(rows, wanted)]


class EpisodeBenchmark(Measurement):
    """All designs of one method on one representation.

    Args:
        data: features and split; its experiments play no part.
        method: what is measured.
        designs: what the tasks are; each gives one record.
        setup: "test", or "val" to report on the classes that hyper-parameters are chosen on.
        tags: further entries of every record, among them ``representation`` and ``method``.
        packed_shots: those of the low-shot phase, whose packed features serve here as well.

    Raises:
        InputError: too few novel classes, or too few images of one.
    """

    def __init__(
        self,
        data: BenchmarkData,
        method: Method,
        *,
        designs: Sequence[EpisodeDesign],
        setup: str,
        tags: Mapping[str, Any],
        packed_shots: Sequence[int] = (1,),
    ) -> None:
        super().__init__(data, tags, packed_shots)
        self.setup = setup
        self.units = [self._unit(method, design) for design in designs]

    def _unit(self, method: Method, design: EpisodeDesign) -> EpisodeUnit:
        labels = {"train": self.data.train.labels, "test": self.data.test.labels}
        part, rows = novel_rows(labels, self.data.split, self.setup, design)
        sampler = TaskSampler(rows, design, method.seed)
        measured = [self.setup, method.fingerprinted, part, sampler.digest]
        unit = fingerprint("episodes", self.data.fingerprints, *measured, *protocol())
        key = (
            f"{self.tags['representation']}/{self.tags['method']} {self.setup} {design.n_way}-way {design.n_shots}-shot"
        )
        store = self.data.test if part == "test" else self.data.train
        about = {**self.tags, **self.data.arena(self.setup).about, "part": part}
        return EpisodeUnit(key, unit, method, self.setup, sampler, store, about)
