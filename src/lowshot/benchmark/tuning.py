"""Hyper-parameters chosen on the validation setup: every point of a grid, at every number of shots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sklearn.base import clone

from lowshot.benchmark.calibration_bias import default_target
from lowshot.benchmark.method import GeneratorSource, Method
from lowshot.benchmark.metrics import METRICS, NotANumberError, mean_and_half_width, mean_over_shots
from lowshot.benchmark.parameter_grid import N_PER_CLASS, GridPoint, ParameterGrid, Target, Tuning, grid_points
from lowshot.benchmark.part_fingerprints import registered_name
from lowshot.benchmark.protocol import N_SHOTS, experiment_blocks, fit_runs, protocol
from lowshot.benchmark.results import Record, ResultStore
from lowshot.benchmark.setup_data import SetupData
from lowshot.benchmark.task import FittedBase, Task, TaskList
from lowshot.benchmark.validation import ValidationData
from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import DivergedError, InputError, did_you_mean
from lowshot.files import fingerprint
from lowshot.hallucination.base import ShotGenerator
from lowshot.parallel import Engine
from lowshot.parallel.shared_arrays import Scratch, scratch_for
from lowshot.registry import CLASSIFIERS


def tune(
    data: ValidationData,
    classifier: LowShotClassifier | str,
    params: Mapping[str, Any] | None = None,
    grid: ParameterGrid | None = None,
    *,
    target: str | None = None,
    n_shots: Sequence[int] = N_SHOTS,
    generator: ShotGenerator | None = None,
    n_per_class: int = 0,
    seed: int = 0,
    store: ResultStore | None = None,
    tags: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Tuning:
    """Measure every point of a grid on the validation setup.

    A point at one number of shots is one task, as in :func:`~lowshot.benchmark.run_benchmark`, with the same seeds:
    every point gets the same shots, and gives the numbers that the benchmark would report on setup "val". Points that
    differ only in parameters that ``fit_base`` does not read share one fit of the base classes.

    Args:
        data (ValidationData): The validation half; there is nothing else to look at.
        classifier (LowShotClassifier or str): An estimator, which is cloned, or a registered name.
        params (dict): Parameters of the classifier that differ from its own and are not tuned.
        grid (dict): The values to try of each parameter, and maybe of ``n_per_class``; the classifier's ``tuning_grid``
            when None.
        target (str, optional): ``mean_METRIC`` over all ``n_shots``, or ``METRIC`` with a single one. By default
            ``mean_all_top5``, or ``mean_all_top1`` where there are up to ten classes. Where points tie in a top-5
            accuracy, the same in top-1 decides.
        n_shots (sequence of int): Numbers of shots.
        generator (Generator): A fitted generator that adds to the shots of each run.
        n_per_class (int): With ``generator``, shots and generated features together per novel class.
        seed (int): The seed that everything random in the runs derives from.
        store (ResultStore): The file where records are stored and found again; others in it are dropped at the end.
        tags (dict): Further entries of every record in it.
        engine (Engine): The engine that computes the tasks.

    Returns:
        Tuning: The grid with its numbers.

    Raises:
        InputError: The grid or the target does not fit, or no point gave a number.
    """
    with scratch_for(None if store is None else store.path) as scratch:
        study = Study(
            data,
            classifier,
            params,
            grid,
            scratch=scratch,
            target=target,
            n_shots=n_shots,
            generator=None if generator is None else GeneratorSource(generator, scratch),
            n_per_class=n_per_class,
            seed=seed,
            store=store or ResultStore(scratch.folder / "tuning.jsonl"),
            tags=tags,
        )
        study.tasks.run("tune", engine, title="tune")
        return study.result()


class Study:
    """The tasks of a grid and the choice that their records lead to. Arguments as :func:`tune` has them."""

    def __init__(
        self,
        data: ValidationData,
        classifier: LowShotClassifier | str,
        params: Mapping[str, Any] | None,
        grid: ParameterGrid | None,
        *,
        scratch: Scratch,
        store: ResultStore,
        target: str | None = None,
        n_shots: Sequence[int] = N_SHOTS,
        generator: GeneratorSource | None = None,
        n_per_class: int = 0,
        seed: int = 0,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        template = CLASSIFIERS.build(classifier) if isinstance(classifier, str) else clone(classifier)
        self.template: LowShotClassifier = template.set_params(**(params or {}))
        self.grid = template.tuning_grid if grid is None else grid
        self.points = grid_points(self.grid)
        self.data, self.generator, self.n_per_class, self.seed = data, generator, n_per_class, seed
        self.target, self.n_shots = target or f"mean_{default_target(data.split.setup('val'))}", tuple(n_shots)
        self.metric = Target.parse(self.target, self.n_shots).metric
        self.tags = tags or {}
        _check(template, self.grid, generator is not None, n_per_class)
        self._bases: dict[str, Method] = {}
        setup = data.setup("val", scratch, max(self.n_shots))
        self._of_point = [self._tasks(point, setup) for point in self.points]
        self.tasks = TaskList([task for tasks in self._of_point for task in tasks], data, store)

    def result(self) -> Tuning:
        """The grid with its numbers, once every task is done.

        Raises:
            InputError: No point gave a number.
        """
        store = self.tasks.store
        store.keep(self.tasks.fingerprints)
        store.arrange(self.tasks.fingerprints)
        records = [[store.find(task.fingerprint) or [] for task in tasks] for tasks in self._of_point]
        points = [_measured(point, own, self.n_shots, self.metric) for point, own in zip(self.points, records)]
        highest = max((point.value for point in points if point.value is not None), default=None)
        tied = [place for place, point in enumerate(points) if point.value == highest]
        top1 = self.metric.replace("_top5", "_top1")
        if highest is not None and len(tied) > 1 and top1 != self.metric:
            for place in tied:
                again = _measured(self.points[place], records[place], self.n_shots, top1)
                points[place] = replace(points[place], top1=again.value)
        return Tuning(
            classifier=registered_name(CLASSIFIERS, self.template),
            generator=None if self.generator is None else self.generator.name,
            target=self.target,
            n_shots=self.n_shots,
            n_experiments=len(self.data.experiments),
            seed=self.seed,
            data=self.data.fingerprint,
            grid={name: tuple(values) for name, values in self.grid.items()},
            points=tuple(points),
        )

    def _tasks(self, point: Mapping[str, Any], setup: SetupData) -> list[Task]:
        """The tasks of one point of the grid."""
        own = {name: value for name, value in point.items() if name != N_PER_CLASS}
        classifier = clone(self.template).set_params(**own)
        method = Method(classifier, self.generator, point.get(N_PER_CLASS, self.n_per_class), self.seed)
        read = {key: value for key, value in method.params.items() if key not in classifier.novel_parameters}
        base = self._bases.setdefault(fingerprint(read), method)
        name = "/".join(str(self.tags[tag]) for tag in ("representation", "method") if tag in self.tags)
        text = f"{name or method.name} {', '.join(f'{name}={value}' for name, value in point.items())}"
        tasks = []
        for n in self.n_shots:
            for block in experiment_blocks(len(self.data.experiments)):
                digest = fingerprint("tune", self.data.fingerprint, *method.fingerprinted, n, list(block), *protocol())
                key = f"{text} n={n}" + (f" runs {block[0]}-{block[-1]}" if block[0] > 1 else "")
                tasks.append(Task(key, digest, method, setup, GridRuns(n, block), self.tags, base_method=base))
        return tasks


@dataclass(frozen=True)
class GridRuns:
    """The hook of tuning: a block of runs, a record each, without accuracies where scores or training were no numbers.

    Attributes:
        n_shots (int): The shots per class.
        experiments (range): The numbers of the experiments, from 1.
    """

    n_shots: int
    experiments: range

    @property
    def n_runs(self) -> int:
        return len(self.experiments)

    def __call__(self, task: Task, base: FittedBase, *needed: Sequence[Record]) -> list[Record]:
        classifier = task.method.classifier
        params = classifier.get_params(deep=False)
        # The base classes may have been learned for another point of the grid.
        learned = base.classifier.with_novel_parameters(**{name: params[name] for name in classifier.novel_parameters})
        try:
            fitted = fit_runs(task, learned, self.n_shots, self.experiments)
            accuracies = [_accuracies(task.data, one) for one in fitted]
        except DivergedError:
            accuracies = [dict.fromkeys(METRICS) for _ in self.experiments]
        return [
            {"n_shots": self.n_shots, "experiment": experiment, **own}
            for experiment, own in zip(self.experiments, accuracies)
        ]


def _accuracies(data: SetupData, classifier: LowShotClassifier) -> dict[str, float | None]:
    try:
        return dict(data.ranks(classifier).accuracies())
    except NotANumberError:  # a step too large for this grid point is an answer, not a mistake
        return dict.fromkeys(METRICS)


def _measured(
    point: dict[str, Any], tasks: Sequence[Sequence[Record]], n_shots: Sequence[int], metric: str
) -> GridPoint:
    """A point from its records; NaN anywhere leaves it without a value."""
    found: dict[int, dict[int, float | None]] = {n: {} for n in n_shots}
    for records in tasks:
        for record in records:
            found[record["n_shots"]][record["experiment"]] = record[metric]
    numbers = {n: {e: value for e, value in row.items() if value is not None} for n, row in found.items()}
    by_n_shots = {
        str(n): mean_and_half_width(row.values())[0] if row and len(row) == len(found[n]) else None
        for n, row in numbers.items()
    }
    value, half_width = None, None
    if None not in by_n_shots.values():
        value, half_width = mean_and_half_width(mean_over_shots(numbers.values()).values())
    return GridPoint(point, value, half_width, by_n_shots)


def _check(template: LowShotClassifier, grid: ParameterGrid, generates: bool, n_per_class: int) -> None:
    known = template.get_params(deep=False)
    for name in grid:
        if name not in known and name != N_PER_CLASS:
            raise InputError(f"{type(template).__name__} has no parameter {name!r}. {did_you_mean(name, known)}")
    if not generates and (n_per_class or N_PER_CLASS in grid):
        raise InputError("n_per_class goes together with a generator, and there is none")
    if generates and min(grid.get(N_PER_CLASS, [n_per_class])) < 1:
        raise InputError("with a generator n_per_class must be at least 1")
