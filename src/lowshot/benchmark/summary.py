"""The accuracies of a benchmark in a list: a mean and an interval for each method and number of shots."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowshot.benchmark.metrics import mean_and_half_width, mean_over_shots
from lowshot.benchmark.significance import over_draws_and_trainings
from lowshot.errors import InputError


def mean_over_trainings(trainings: Mapping[int, Mapping[Any, float]]) -> tuple[float, float | None]:
    """The mean over several trainings and the experiments that all have, and half its 95 % interval over both.

    None for the interval where there is a single experiment.

    Args:
        trainings (mapping): {training: {experiment: accuracy}}, of at least two trainings.
    """
    first, *others = trainings.values()
    common = [e for e in first if all(e in other for other in others)]
    grid = np.array([[values[e] for e in common] for values in trainings.values()])
    mean = math.fsum(grid.ravel()) / grid.size
    return mean, float(over_draws_and_trainings(grid[None]).half_width()[0]) if len(common) > 1 else None


@dataclass(frozen=True)
class Summary:
    """One accuracy of one method with one number of shots.

    Attributes:
        n_shots (int or None): The shots per novel class; None for the mean over all numbers of shots.
        mean (float): The mean over experiments, a fraction.
        half_width (float or None): Half the 95 % interval of the mean, by Student's t over experiments, or over
            trainings and experiments; None for a single experiment.
        n_experiments (int): The number of experiments.
        n_trainings (int): The number of trainings of the representation.
    """

    representation: str
    method: str
    setup: str
    n_shots: int | None
    metric: str
    mean: float
    half_width: float | None
    n_experiments: int
    n_trainings: int = 1


def summarise(records: Iterable[Mapping[str, Any]], metric: str, *, over_shots: bool = False) -> list[Summary]:
    """Means and 95 % intervals over experiments, in the order in which methods first appear.

    Args:
        records (iterable): Records as :func:`~lowshot.benchmark.run_benchmark` returns them.
        metric (str): A key of theirs, such as ``"all_top5"``; records that have None there are left out.
        over_shots (bool): Average each experiment over its numbers of shots first, as the last row of the original's
            tables.

    Raises:
        InputError: No record has the metric.
    """
    methods: dict[tuple[str, str, str], dict[int, dict[int, dict[int, float]]]]
    methods = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for record in records:
        if record.get(metric) is not None:
            by_n_shots = methods[record["representation"], record["method"], record["setup"]]
            by_n_shots[record["n_shots"]][record.get("training", 1)][record["experiment"]] = record[metric]
    if not methods:
        raise InputError(f"no result has the metric {metric!r}")
    summaries = []
    for method, by_n_shots in methods.items():
        rows: Mapping[Any, Mapping[int, dict[int, float]]] = by_n_shots
        if over_shots:
            trainings = next(iter(by_n_shots.values()))
            columns = {t: [row.get(t, {}) for row in by_n_shots.values()] for t in trainings}
            rows = {None: {t: mean_over_shots(column) for t, column in columns.items()}}
        for n_shots, row in rows.items():
            if set.intersection(*map(set, row.values())):
                summaries.append(_summary(method, n_shots, metric, row))
    return summaries


def _summary(
    method: tuple[str, str, str], n_shots: int | None, metric: str, row: Mapping[int, dict[int, float]]
) -> Summary:
    first = next(iter(row.values()))
    if len(row) == 1:
        return Summary(*method, n_shots, metric, *mean_and_half_width(first.values()), len(first))
    common = set(first).intersection(*row.values())
    return Summary(*method, n_shots, metric, *mean_over_trainings(row), len(common), len(row))
