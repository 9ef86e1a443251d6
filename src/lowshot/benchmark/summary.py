"""The accuracies of a benchmark in a list: a mean and an interval for each method and number of shots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lowshot.benchmark.metrics import mean_and_half_width, mean_over_shots
from lowshot.errors import InputError


@dataclass(frozen=True)
class Summary:
    """One accuracy of one method with one number of shots.

    Attributes:
        n_shots (int or None): The shots per novel class; None for the mean over all numbers of shots.
        mean (float): The mean over experiments, a fraction.
        half_width (float or None): Half the 95 % t-interval of the mean; None for a single experiment.
        n_experiments (int): The number of experiments.
    """

    representation: str
    method: str
    setup: str
    n_shots: int | None
    metric: str
    mean: float
    half_width: float | None
    n_experiments: int


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
    methods: dict[tuple[str, str, str], dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        if record.get(metric) is not None:
            by_n_shots = methods[record["representation"], record["method"], record["setup"]]
            by_n_shots[record["n_shots"]][record["experiment"]] = record[metric]
    if not methods:
        raise InputError(f"no result has the metric {metric!r}")
    summaries = []
    for method, by_n_shots in methods.items():
        rows: Mapping[Any, dict[int, float]] = by_n_shots
        if over_shots:
            rows = {None: mean_over_shots(by_n_shots.values())}
        for n_shots, row in rows.items():
            if row:
                mean, half_width = mean_and_half_width(row.values())
                summaries.append(Summary(*method, n_shots, metric, mean, half_width, len(row)))
    return summaries
