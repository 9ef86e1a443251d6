"""Standard N-way K-shot episodes: thousands of small problems of a few novel classes each, with the usual interval.

Vinyals et al. (2016, arXiv 1606.04080) and most of the few-shot literature measure on these: an episode has N novel
classes, K shots and Q queries of each, the answer is one of the N, and the score is the mean accuracy over episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lowshot.benchmark.episode_sampler import DRAWN_TOGETHER, EpisodeDesign, NovelEpisodeSampler, novel_rows
from lowshot.benchmark.method import SETUPS, Method, as_method
from lowshot.benchmark.metrics import episode_accuracies, mean_over_episodes
from lowshot.benchmark.protocol import protocol
from lowshot.benchmark.results import Record, ResultStore
from lowshot.benchmark.setup_data import BenchmarkData
from lowshot.benchmark.task import FittedBase, Task, TaskList, task_key
from lowshot.classifiers.base import LowShotClassifier
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.files import fingerprint
from lowshot.hallucination.base import ShotGenerator
from lowshot.parallel import Engine
from lowshot.parallel.shared_arrays import Scratch, scratch_for

# Floats of the shots, queries and weights of the episodes that are scored at once.
_FLOATS = 1 << 24
# Novel features up to this size are read once; larger ones episode by episode.
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
    """Run standard N-way K-shot episodes for one method.

    The episodes depend on labels, design and seed alone, so all methods and representations meet the same ones. What a
    method learns from the base classes it learns once; in an episode the N novel classes alone compete.

    Args:
        train (FeatureStore): The features whose base classes a method may learn from.
        test (FeatureStore): The features that the episodes are drawn from, where they hold enough images of each novel
            class, else ``train``.
        split (ClassSplit): The base and novel classes.
        classifier (LowShotClassifier or str): An estimator, which is cloned, or a registered name.
        params (dict): Parameters of the classifier that differ from its own.
        n_way (int): N, the classes of an episode.
        n_shots (sequence of int): K, the shots of each; every number is a design of its own.
        n_query (int): Q, the queries of each class of an episode.
        n_tasks (int): The number of episodes.
        setup (str): "test", or "val" to report on the classes that hyper-parameters are chosen on.
        generator (Generator): A fitted generator that adds to the shots of each episode.
        n_per_class (int): With ``generator``, shots and generated features together per class of an episode.
        seed (int): The seed of everything random.
        store (ResultStore): The file where records are stored and found again.
        tags (dict): Further entries of every record, as :func:`~lowshot.benchmark.run_benchmark` has them.
        engine (Engine): The engine that computes the tasks; ``Engine()`` when None.

    Returns:
        list of dict: One record per number of shots: ``accuracy``, ``half_width`` of its 95 % interval, ``n_tasks``.

    Raises:
        InputError: Features and split do not belong together, fewer than N novel classes, or too few images of one.
    """
    unused = Experiments.random(train.labels, train.paths, n_experiments=1, max_shots=1)
    with scratch_for(None if store is None else store.path) as scratch:
        method = as_method(classifier, params, generator, n_per_class, seed, scratch)
        data = BenchmarkData(train, test, split, unused)
        designs = [EpisodeDesign(n_way, n, n_query, n_tasks) for n in n_shots]
        tags = {"representation": train.path.parent.name, "method": method.name, **(tags or {})}
        tasks = episode_tasks(data, method, scratch, designs=designs, setup=setup, tags=tags)
        store = store or ResultStore(scratch.folder / "episodes.jsonl")
        return TaskList(tasks, data, store).run(method.name, engine, title="episodes")


def episode_tasks(
    data: BenchmarkData,
    method: Method,
    scratch: Scratch,
    *,
    designs: Sequence[EpisodeDesign],
    setup: str,
    tags: Mapping[str, Any],
    max_shots: int = 1,
) -> list[Task]:
    """A task for each design of one method on one representation.

    Args:
        data (BenchmarkData): Features and split; its experiments play no part.
        method (Method): The method to measure.
        scratch (Scratch): The folder for the arrays that processes share.
        designs (sequence of EpisodeDesign): The designs; each gives one record.
        setup (str): "test", or "val" to report on the classes that hyper-parameters are chosen on.
        tags (dict): Further entries of every record, among them ``representation`` and ``method``.
        max_shots (int): That of the benchmark's tasks, where these share their arrays.

    Raises:
        InputError: Too few novel classes, or too few images of one.
    """
    labels = {"train": data.train.labels, "test": data.test.labels}
    shared, tasks = data.setup(setup, scratch, max_shots), []
    for design in designs:
        part, rows = novel_rows(labels, data.split, setup, design)
        sampler = NovelEpisodeSampler(rows, design, method.seed)
        measured = [setup, method.fingerprinted, part, sampler.digest]
        digest = fingerprint("episodes", data.fingerprints, *measured, *protocol())
        key = task_key(tags, setup, f"{design.n_way}-way", f"{design.n_shots}-shot")
        measure = EpisodeAccuracy(sampler, data.test if part == "test" else data.train)
        about = {**tags, **data.describe(setup), "part": part}
        tasks.append(Task(key, digest, method, shared, measure, about))
    return tasks


@dataclass(frozen=True)
class EpisodeAccuracy:
    """The hook of episodes: the mean accuracy over all of them and half its interval, as one record.

    Attributes:
        sampler (NovelEpisodeSampler): The episodes.
        store (FeatureStore): The features of the part that they come from.
    """

    sampler: NovelEpisodeSampler
    store: FeatureStore

    @property
    def n_runs(self) -> int:
        return self.sampler.design.n_tasks

    def __call__(self, task: Task, base: FittedBase, *needed: Sequence[Record]) -> list[Record]:
        mean, half_width = mean_over_episodes(np.concatenate(list(self._accuracies(task, base.classifier))))
        return [
            {
                **asdict(self.sampler.design),
                "accuracy": mean,
                "half_width": half_width,
                "tasks": self.sampler.digest,
                "task": task.fingerprint,
                "base_seconds": round(base.seconds, 4),
            }
        ]

    def _accuracies(self, task: Task, base: LowShotClassifier) -> Iterator[np.ndarray]:
        """(T,) the share of each episode's queries that get the right one of its classes, some episodes at a time."""
        design, take, method = self.sampler.design, self._reader(), task.method
        truth = np.repeat(np.arange(design.n_way), design.n_query)
        per_episode = design.n_way * (max(design.n_shots, method.n_per_class) + design.n_query)
        held = (per_episode + 2 * (design.n_way + len(task.data.classes.base))) * self.store.dim
        at_once = int(np.clip(_FLOATS // held, 1, DRAWN_TOGETHER))
        for number, episodes in enumerate(self.sampler):
            sequence = np.random.SeedSequence([method.seed, SETUPS.index(task.data.name), design.n_shots, number])
            seeds = (sequence.generate_state(DRAWN_TOGETHER) >> 1).astype(int).tolist()
            for first in range(0, len(episodes.classes), at_once):
                some = slice(first, min(first + at_once, len(episodes.classes)))
                shots = _with_generated(method, take(episodes.shots[some]), seeds[some])
                queries = take(episodes.queries[some].reshape(some.stop - first, -1))
                answers = base.scores_of_episodes(shots, queries, seeds[some]).argmax(axis=2)
                yield episode_accuracies(answers, truth)

    def _reader(self) -> Callable[[np.ndarray], np.ndarray]:
        """A function from rows of any shape to their features: from memory where they fit, else from the file."""
        rows = self.sampler.rows
        if len(rows) * self.store.dim * 4 > _POOL_BYTES:
            return lambda wanted: self.store.rows(wanted.ravel()).reshape(*wanted.shape, self.store.dim)
        pool = self.store.rows(rows)
        return lambda wanted: pool[np.searchsorted(rows, wanted)]


def _with_generated(method: Method, shots: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """(T, N, K + G, D): the (T, N, K, D) shots and the features that the method's generator adds, if it has one."""
    if method.generator is None:
        return shots
    n_way, n_shots, dim = shots.shape[1:]
    wanted = max(n_shots, method.n_per_class)
    labels = np.repeat(np.arange(n_way), n_shots)
    generator = method.generator.get()
    made = np.empty((len(shots), n_way, wanted, dim), np.float32)
    for episode, (own, seed) in enumerate(zip(shots, seeds)):
        features, classes = generator.generate(own.reshape(-1, dim), labels, wanted, random_state=seed)
        made[episode] = features[np.argsort(classes, kind="stable")].reshape(n_way, wanted, dim)
    return made
