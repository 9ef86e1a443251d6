"""The low-shot benchmark: every experiment and number of shots of one method on one representation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowshot.benchmark.calibration_bias import Validation, choose_bias, default_target
from lowshot.benchmark.class_counts import run_counts, task_counts
from lowshot.benchmark.method import Method, as_method
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

N_SHOTS = (1, 2, 5, 10, 20)
"""The numbers of shots of Hariharan & Girshick (arXiv 1606.02819, section 4.1)."""

# Raised by a change of the code that gives the same inputs other numbers: what was measured before is measured again.
PROTOCOL = 1

# Experiments that are trained together: many share each product, and memory follows this number, not that of all.
BLOCK_EXPERIMENTS = 25


def run_benchmark(
    train: FeatureStore,
    test: FeatureStore,
    split: ClassSplit,
    experiments: Experiments,
    classifier: LowShotClassifier | str,
    params: Mapping[str, Any] | None = None,
    *,
    n_shots: Sequence[int] = N_SHOTS,
    setup: str = "test",
    prior: bool = True,
    prior_target: str | None = None,
    generator: ShotGenerator | None = None,
    n_per_class: int = 0,
    seed: int = 0,
    store: ResultStore | None = None,
    tags: Mapping[str, Any] | None = None,
    examples: int = 0,
    engine: Engine | None = None,
) -> list[Record]:
    """Run the protocol of Hariharan & Girshick (arXiv 1606.02819, section 4.1) for one method.

    Up to 25 experiments of one number of shots are one task, whose runs may be trained together; a task that ``store``
    has is not computed again. What the method learns from the base classes it learns once per setup in each process.
    Each task computes on one thread, so that neither the engine nor the number of workers changes a digit.

    Args:
        train (FeatureStore): The features that base examples and shots are taken from.
        test (FeatureStore): The features of the queries.
        split (ClassSplit): The base and novel classes.
        experiments (Experiments): The rows of ``train`` that are shots; checked against its labels and paths.
        classifier (LowShotClassifier or str): An estimator, which is cloned, or a registered name.
        params (dict): Parameters of the classifier that differ from its own.
        n_shots (sequence of int): Numbers of shots.
        setup (str): "test", or "val" to report on the classes that hyper-parameters are chosen on.
        prior (bool): On setup "test", also run setup "val" (its first 25 experiments at most), choose a calibration
            bias there for each number of shots, and report ``all_prior_top1`` and ``all_prior_top5``.
        prior_target (str, optional): The accuracy that the bias maximises, "all_top5" or "all_top1"; by default the
            second where setup "val" has up to ten classes.
        generator (Generator): A fitted generator that adds to the shots of each run.
        n_per_class (int): With ``generator``, shots and generated features together per novel class.
        seed (int): The seed that everything random in the runs derives from.
        store (ResultStore): The file where records are stored and found again.
        tags (dict): Further entries of every record. Without them ``representation`` is the name of the folder that
            holds ``train``, as in the original, and ``method`` the names of generator and classifier.
        examples (int): The number of novel queries of experiment 1 that are recorded with their predictions.
        engine (Engine): The engine that computes the tasks; ``Engine()`` when None.

    Returns:
        list of dict: One record per setup, number of shots and experiment, validation first.

    Raises:
        InputError: Features, split and experiments do not belong together, or a class has too few images.
        LowshotError: A task failed; those before it are in ``store``.
    """
    with scratch_for(None if store is None else store.path) as scratch:
        method = as_method(classifier, params, generator, n_per_class, seed, scratch, examples)
        data = BenchmarkData(train, test, split, experiments)
        tags = {"representation": train.path.parent.name, "method": method.name, **(tags or {})}
        target = (prior_target or default_target(split.setup("val"))) if prior else None
        tasks = benchmark_tasks(data, method, scratch, n_shots=n_shots, setup=setup, bias_target=target, tags=tags)
        return TaskList(tasks, data, store or ResultStore(scratch.folder)).run(method.name, engine, title="evaluate")


def benchmark_tasks(
    data: BenchmarkData,
    method: Method,
    scratch: Scratch,
    *,
    n_shots: Sequence[int],
    setup: str,
    bias_target: str | None,
    tags: Mapping[str, Any],
) -> list[Task]:
    """The tasks of one method on one representation, validation first.

    Args:
        data (BenchmarkData): Features, split and experiments.
        method (Method): The method to measure.
        scratch (Scratch): The folder for the arrays that processes share.
        n_shots (sequence of int): Numbers of shots.
        setup (str): The half of the classes that is reported.
        bias_target (str or None): With setup "test", the first block of experiments also runs on setup "val", where a
            calibration bias that maximises this accuracy is chosen for each number of shots; None for no bias.
        tags (dict): Further entries of every record, among them ``representation`` and ``method``.
    """
    classifier, generator, code = method.fingerprinted
    blocks = experiment_blocks(len(data.experiments))
    chooses = setup == "test" and bias_target is not None
    setups = {name: data.setup(name, scratch, max(n_shots)) for name in (["val"] if chooses else []) + [setup]}

    def task(setup: str, n: int, block: range, chooser: Task | None) -> Task:
        digest = fingerprint(
            [*data.fingerprints, setup, n],
            [*classifier, bias_target, *([chooser.fingerprint] if chooser else [])],
            generator,
            code,
            data.draws(setup, n, block),
            *protocol(),
        )
        key = task_key(tags, setup, f"n={n}", *([f"runs {block[0]}-{block[-1]}"] if len(blocks) > 1 else []))
        target = bias_target if setup == "val" and chooser is None else None
        measure = Evaluation(n, block, target, tuple(data.draw_fingerprints(setup, n, block)))
        needs = () if chooser is None else (chooser.key,)
        return Task(key, digest, method, setups[setup], measure, {**tags, **data.describe(setup)}, needs)

    # All tasks are named before the first runs: a mistake in the last one shows now.
    choosers: dict[int, Task] = {}
    if chooses:
        choosers = {n: task("val", n, blocks[0], None) for n in n_shots}
    tasks = list(choosers.values())
    for n in n_shots:
        for block in blocks:
            tasks.append(task(setup, n, block, choosers.get(n)))
            if bias_target is not None:
                choosers.setdefault(n, tasks[-1])
    return tasks


@dataclass(frozen=True)
class Evaluation:
    """The hook of the benchmark: a block of runs, a record each.

    Attributes:
        n_shots (int): The shots per class.
        experiments (range): The numbers of the experiments, from 1.
        bias_target (str or None): The accuracy that a bias chosen on these runs maximises.
        draws (tuple of str): The fingerprint of each experiment's shots.
    """

    n_shots: int
    experiments: range
    bias_target: str | None
    draws: tuple[str, ...]

    @property
    def n_runs(self) -> int:
        return len(self.experiments)

    def __call__(self, task: Task, base: FittedBase, *needed: Sequence[Record]) -> list[Record]:
        fitted = fit_runs(task, base.classifier, self.n_shots, self.experiments)
        ranks = [task.data.ranks(classifier) for classifier in fitted]
        bias = needed[0][0]["prior"] if needed else None
        if self.bias_target is not None:
            bias = choose_bias(Validation(task.data.classes, ranks), self.bias_target)
        shown = bias if task.data.name == "test" else None
        queries, rows = task.data.arrays["query_labels"], task.data.arrays["query_rows"]
        records = [
            {
                "n_shots": self.n_shots,
                "experiment": experiment,
                "task": f"{task.fingerprint}-{experiment}",
                "shots": draw,
                "prior": bias,
                "base_seconds": round(base.seconds, 4),
                **one.accuracies(shown),
                **run_counts(one, queries, task.data.classes, shown),
            }
            for experiment, draw, one in zip(self.experiments, self.draws, ranks)
        ]
        records[0] |= task_counts(ranks, np.sort(fitted[0].classes_), queries, rows, task.data.classes)
        if task.method.examples and self.experiments[0] == 1:
            records[0]["examples"] = task.method.example_predictions(task.data, fitted[0])
        return records


def fit_runs(task: Task, base: LowShotClassifier, n: int, experiments: range) -> list[LowShotClassifier]:
    """Fit one classifier per experiment on its shots, in addition to the base classes.

    Args:
        task (Task): The task, whose method draws and generates the shots.
        base (LowShotClassifier): The classifier after its base phase.
        n (int): The shots per novel class.
        experiments (range): The numbers of the experiments, from 1.
    """
    runs = [task.method.shots(task.data, experiment, n) for experiment in experiments]
    return base.fit_novel_runs([(features, labels) for features, labels, _ in runs], [seed for *_, seed in runs])


def experiment_blocks(n_experiments: int) -> list[range]:
    """The experiments 1..E in blocks of ``BLOCK_EXPERIMENTS``, the last one shorter; full blocks do not depend on E."""
    starts = range(1, n_experiments + 1, BLOCK_EXPERIMENTS)
    return [range(start, min(start + BLOCK_EXPERIMENTS, n_experiments + 1)) for start in starts]


def protocol() -> list[int]:
    """The part of a fingerprint that stands for ``PROTOCOL``: the first one adds nothing."""
    return [PROTOCOL] if PROTOCOL > 1 else []
