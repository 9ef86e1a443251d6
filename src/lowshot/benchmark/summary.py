"""From records to numbers one can quote: the mean over experiments and how far it can be trusted."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from lowshot.errors import InputError


@dataclass(frozen=True)
class Summary:
    """One metric of one method with one number of shots.

    Attributes:
        n_shots: per novel class; None for the mean over all numbers of shots.
        mean: over experiments, a fraction.
        half_width: of the 95 % t-interval of the mean over experiments; None for a single experiment.
        n_experiments: how many there are.
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
        records: as :func:`~lowshot.benchmark.run_benchmark` returns them.
        metric: a key of theirs, such as ``"all_top5"``; records that have None there are left out.
        over_shots: average each experiment over its numbers of shots first, as the last row of the original's tables.

    Raises:
        InputError: no record has the metric.
    """
    groups: dict[tuple[Any, ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record.get(metric) is not None:
            n_shots = None if over_shots else record["n_shots"]
            group = groups[record["representation"], record["method"], record["setup"], n_shots]
            group[record["experiment"]].append(record[metric])
    if not groups:
        raise InputError(f"no result has the metric {metric!r}")
    summaries = []
    for (representation, method, setup, n_shots), group in groups.items():
        mean, half_width = mean_and_half_width(float(np.mean(found)) for found in group.values())
        summaries.append(Summary(representation, method, setup, n_shots, metric, mean, half_width, len(group)))
    return summaries


def mean_and_half_width(values: Iterable[float]) -> tuple[float, float | None]:
    """The mean, and half the width of its 95 % interval by Student's t; None from a single value."""
    numbers = list(values)
    count = len(numbers)
    mean = math.fsum(numbers) / count  # exact sums: the order of the records changes no digit
    if count < 2:
        return mean, None
    variance = math.fsum((number - mean) ** 2 for number in numbers) / (count - 1)
    return mean, float(stdtrit(count - 1, 0.975)) * math.sqrt(variance / count)
