"""The low-shot benchmark: every experiment and number of shots of one method on one representation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lowshot.benchmark.arena import BenchmarkData
from lowshot.benchmark.measurement import as_method, scratch_beside
from lowshot.benchmark.method import ShotGenerator
from lowshot.benchmark.results import Record, ResultStore
from lowshot.benchmark.units import Benchmark
from lowshot.classifiers.base import LowShotClassifier
from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.parallel.engines import Engine

N_SHOTS = (1, 2, 5, 10, 20)


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
    prior_target: str = "all_top5",
    generator: ShotGenerator | None = None,
    n_per_class: int = 0,
    seed: int = 0,
    store: ResultStore | None = None,
    tags: Mapping[str, Any] | None = None,
    examples: int = 0,
    engine: Engine | None = None,
) -> list[Record]:
    """Run the protocol of Hariharan & Girshick (arXiv 1606.02819, section 4.1) for one method.

    Up to 25 experiments of one number of shots are one unit of work, whose runs may be trained together; a unit that
    ``store`` has is not computed again. What the method learns from the base classes it learns once per setup in each
    process. Each unit computes on one thread, so that neither the engine nor the number of workers changes a digit.

    Args:
        train: features that base examples and shots are taken from.
        test: features of the queries.
        split: which classes are base and novel.
        experiments: which rows of ``train`` are shots; checked against its labels and paths.
        classifier: an estimator, which is cloned, or a registered name.
        params: parameters of the classifier that differ from its own.
        n_shots: numbers of shots.
        setup: "test", or "val" to report on the classes that hyper-parameters are chosen on.
        prior: on setup "test", also run setup "val" (its first 25 experiments at most), choose a prior there for each
            number of shots, and report ``all_prior_top1`` and ``all_prior_top5``.
        prior_target: what the prior maximises: "all_top5" or "all_top1".
        generator: a fitted generator that adds to the shots of each run.
        n_per_class: with ``generator``, shots and generated features together per novel class.
        seed: of everything random in the runs.
        store: where records are kept and found again.
        tags: further entries of every record. Without them ``representation`` is the name of the folder that holds
            ``train``, as in the original, and ``method`` the names of generator and classifier.
        examples: how many novel queries to keep with their predictions, in experiment 1, for a report.
        engine: where units are computed; ``Engine()`` when None.

    Returns:
        One record per setup, number of shots and experiment, validation first.

    Raises:
        InputError: features, split and experiments do not belong together, or a class has too few images.
        LowshotError: a unit failed; those before it are in ``store``.
    """
    with scratch_beside(store) as scratch:
        method = as_method(classifier, params, generator, n_per_class, seed, scratch, examples)
        benchmark = Benchmark(
            BenchmarkData(train, test, split, experiments),
            method,
            n_shots=n_shots,
            setup=setup,
            prior_target=prior_target if prior else None,
            tags={"representation": train.path.parent.name, "method": method.name, **(tags or {})},
        )
        return benchmark.run(method.name, store or ResultStore(scratch.folder), scratch, engine, title="evaluate")
