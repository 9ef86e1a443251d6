"""Hyper-parameters chosen on the validation setup: every point of a grid, at every number of shots."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from lowshot.benchmark.grid import N_PER_CLASS, GridPoint, ParameterGrid, Target, Tuning, grid_points
from lowshot.benchmark.identity import registered_name
from lowshot.benchmark.method import GeneratorSource, Method, ShotGenerator
from lowshot.benchmark.metrics import METRICS, NotANumberError
from lowshot.benchmark.packed import PackedArena, Scratch
from lowshot.benchmark.protocol import N_SHOTS
from lowshot.benchmark.results import Record, ResultStore
from lowshot.benchmark.summary import mean_and_half_width
from lowshot.benchmark.units import experiment_blocks, protocol, provenance
from lowshot.benchmark.validation import ValidationData
from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import DivergedError, InputError, did_you_mean
from lowshot.files import fingerprint
from lowshot.parallel.engines import Engine
from lowshot.parallel.scheduler import Job, run_jobs
from lowshot.registry import CLASSIFIERS


def tune(
    data: ValidationData,
    classifier: LowShotClassifier | str,
    params: Mapping[str, Any] | None = None,
    grid: ParameterGrid | None = None,
    *,
    target: str = "mean_all_top5",
    n_shots: Sequence[int] = N_SHOTS,
    generator: ShotGenerator | None = None,
    n_per_class: int = 0,
    seed: int = 0,
    store: ResultStore | None = None,
    tags: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Tuning:
    """Measure every point of a grid on the validation setup.

    A point at one number of shots is one unit of work, as in :func:`~lowshot.benchmark.run_benchmark`, with the same
    seeds: every point gets the same shots, and gives the numbers that the benchmark would report on setup "val". Points
    that differ only in parameters that ``fit_base`` does not read share one fit of the base classes.

    Args:
        data: the validation half; there is nothing else to look at.
        classifier: an estimator, which is cloned, or a registered name.
        params: parameters of the classifier that differ from its own and are not tuned.
        grid: parameter → values, and maybe ``n_per_class`` → values; the classifier's own ``tuning_grid`` when None.
        target: ``mean_METRIC`` over all ``n_shots``, or ``METRIC`` with a single one.
        n_shots: numbers of shots.
        generator: a fitted generator that adds to the shots of each run.
        n_per_class: with ``generator``, shots and generated features together per novel class.
        seed: of everything random in the runs.
        store: where finished units are kept and found again; others in it are dropped at the end.
        tags: further entries of every record in it.
        engine: where units are computed.

    Raises:
        InputError: the grid or the target does not fit, or no point gave a number.
    """
    with tempfile.TemporaryDirectory(prefix="lowshot-") as folder:
        scratch = Scratch(folder)
        study = Study(
            data,
            classifier,
            params,
            grid,
            target=target,
            n_shots=n_shots,
            generator=None if generator is None else GeneratorSource(generator, scratch),
            n_per_class=n_per_class,
            seed=seed,
            store=store,
            tags=tags,
        )
        run_jobs([study.job("tune", scratch)], engine, title="tune")
    return study.result()


class Study:
    """A grid under way: its units of work as a job, and what they amount to. Arguments as :func:`tune` has them."""

    def __init__(
        self,
        data: ValidationData,
        classifier: LowShotClassifier | str,
        params: Mapping[str, Any] | None,
        grid: ParameterGrid | None,
        *,
        target: str = "mean_all_top5",
        n_shots: Sequence[int] = N_SHOTS,
        generator: GeneratorSource | None = None,
        n_per_class: int = 0,
        seed: int = 0,
        store: ResultStore | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        template = CLASSIFIERS.build(classifier) if isinstance(classifier, str) else clone(classifier)
        self.template: LowShotClassifier = template.set_params(**(params or {}))
        self.grid = template.tuning_grid if grid is None else grid
        self.points = grid_points(self.grid)
        self.data, self.generator, self.n_per_class, self.seed, self.store = data, generator, n_per_class, seed, store
        self.target, self.n_shots = target, tuple(n_shots)
        self.metric = Target.parse(target, self.n_shots).metric
        self.tags = {**(tags or {}), "setup": "val", "seed": seed}
        _check(template, self.grid, generator is not None, n_per_class)
        self._bases: dict[str, Method] = {}
        self.trials = [self._trials(point) for point in self.points]
        self._found: dict[str, list[Record]] = {}
        for trial in self._all_trials():
            if store is not None and (records := store.find(trial.unit)) is not None:
                self._found[trial.unit] = records

    def job(self, name: str, scratch: Scratch, finish: Callable[[bool], None] = lambda last: None) -> Job:
        """The units that are not in the store; those that share a fit of the base classes stand together."""
        left = [trial for trial in self._all_trials() if trial.unit not in self._found]
        if left:
            arena = self.data.arena("val").pack(scratch, self.n_shots)
            left = [replace(trial, arena=arena) for trial in left]
        groups = dict.fromkeys(trial.group for trial in left)
        tasks = [trial for group in groups for trial in left if trial.group == group]
        return Job(name, tasks, self._keep, finish, total=sum(map(len, self.trials)))

    def result(self) -> Tuning:
        """The grid with its numbers, once every unit is there.

        Raises:
            InputError: no point gave a number.
        """
        if self.store is not None:
            self.store.keep(trial.unit for trial in self._all_trials())
        points = [
            _measured(point, [self._found[trial.unit] for trial in trials], self.n_shots, self.metric)
            for point, trials in zip(self.points, self.trials, strict=True)
        ]
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

    def _all_trials(self) -> Iterator[Trial]:
        return (trial for trials in self.trials for trial in trials)

    def _keep(self, trial: Trial, records: list[Record]) -> None:
        self._found[trial.unit] = records if self.store is None else self.store.add(records)

    def _trials(self, point: Mapping[str, Any]) -> list[Trial]:
        """The units of one point of the grid."""
        own = {name: value for name, value in point.items() if name != N_PER_CLASS}
        classifier = clone(self.template).set_params(**own)
        method = Method(classifier, self.generator, point.get(N_PER_CLASS, self.n_per_class), self.seed)
        read = {key: value for key, value in method.params.items() if key not in classifier.novel_parameters}
        group = fingerprint(read)
        base = self._bases.setdefault(group, method)
        where = "/".join(str(self.tags[name]) for name in ("representation", "method") if name in self.tags)
        text = f"{where or method.name} {', '.join(f'{name}={value}' for name, value in point.items())}"
        trials = []
        for n in self.n_shots:
            for block in experiment_blocks(len(self.data.experiments)):
                unit = fingerprint("tune", self.data.fingerprint, *method.fingerprinted, n, list(block), *protocol())
                key = f"{text} n={n}" + (f" runs {block[0]}-{block[-1]}" if block[0] > 1 else "")
                trials.append(Trial(key, group, unit, method, base, n, block, self.tags))
        return trials


@dataclass(frozen=True)
class Trial:
    """The runs of one point of a grid at one number of shots over a block of experiments: a task of a sweep.

    Attributes:
        key: for messages.
        group: equal for trials that share ``base``.
        unit: a digest of everything that its records depend on.
        method: with the point's parameters.
        base: with those parameters that ``fit_base`` reads; shared by all trials to which its fit is of use.
        n: shots per class.
        experiments: their numbers, from 1.
        tags: further entries of every record.
        arena: all that it sees of any data; None until :meth:`Study.job` has packed it.
    """

    key: str
    group: str
    unit: str
    method: Method
    base: Method
    n: int
    experiments: range
    tags: Mapping[str, Any]
    arena: PackedArena | None = None
    needs: tuple[str, ...] = ()

    def run(self) -> list[Record]:
        """A record for each experiment; its accuracies are None where a score was NaN or the training was refused."""
        arena, method = self.arena, self.method
        assert arena is not None
        known = self._known(arena)
        start = time.perf_counter()
        runs = [method.shots(arena, experiment, self.n) for experiment in self.experiments]
        try:
            fitted = known.fit_novel_runs([(X, y) for X, y, _ in runs], [seed for *_, seed in runs])
            accuracies = [_accuracies(arena, one) for one in fitted]
        except DivergedError:
            accuracies = [dict.fromkeys(METRICS) for _ in runs]
        shared = {
            **self.tags,
            "classifier": method.classifier_name,
            "params": method.params,
            "generator": method.generator_name,
            "n_per_class": method.n_per_class,
            "n_shots": self.n,
            "unit": self.unit,
            "unit_size": len(runs),
            "seconds": round((time.perf_counter() - start) / len(runs), 4),
            **provenance(),
        }
        return [{**shared, "experiment": e, **own} for e, own in zip(self.experiments, accuracies)]

    def _known(self, arena: PackedArena) -> LowShotClassifier:
        """The classifier with the base classes learned, by this trial or by another of its group."""
        classifier = self.method.classifier
        fitted, _ = self.base.fitted_on_base(arena)
        params = classifier.get_params(deep=False)
        return fitted.with_novel_parameters(**{name: params[name] for name in classifier.novel_parameters})


def _accuracies(arena: PackedArena, classifier: LowShotClassifier) -> dict[str, float | None]:
    try:
        return dict(arena.score(classifier).metrics())
    except NotANumberError:  # a step too large for this grid point is an answer, not a mistake
        return dict.fromkeys(METRICS)


def _measured(
    point: dict[str, Any], units: Sequence[Sequence[Record]], n_shots: Sequence[int], metric: str
) -> GridPoint:
    """A point from its records; NaN anywhere leaves it without a value."""
    found: dict[int, dict[int, float | None]] = {n: {} for n in n_shots}
    for unit in units:
        for record in unit:
            found[record["n_shots"]][record["experiment"]] = record[metric]
    table = [[row[experiment] for experiment in sorted(row)] for row in found.values()]
    by_n_shots = {str(n): _mean(row) for n, row in zip(n_shots, table)}
    value, half_width = None, None
    if None not in by_n_shots.values():
        per_experiment = (float(np.mean(runs)) for runs in zip(*table, strict=True))  # as the last row of a table
        value, half_width = mean_and_half_width(per_experiment)
    return GridPoint(point, value, half_width, by_n_shots)


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return mean_and_half_width(numbers)[0] if len(numbers) == len(values) else None


def _check(template: LowShotClassifier, grid: ParameterGrid, generates: bool, n_per_class: int) -> None:
    known = template.get_params(deep=False)
    for name in grid:
        if name not in known and name != N_PER_CLASS:
            raise InputError(f"{type(template).__name__} has no parameter {name!r}. {did_you_mean(name, known)}")
    if not generates and (n_per_class or N_PER_CLASS in grid):
        raise InputError("n_per_class goes together with a generator, and there is none")
    if generates and min(grid.get(N_PER_CLASS, [n_per_class])) < 1:
        raise InputError("with a generator n_per_class must be at least 1")
