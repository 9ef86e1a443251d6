"""Intervals over crossed random effects and Holm's adjustment, entry by entry, from their definitions.

Student's t is integrated numerically from its density.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import fmean, variance


@cache
def t_quantile(upper: float, df: float) -> float:
    """The value that Student's t exceeds with probability ``upper`` below one half, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _tail(middle, df) > upper else (low, middle)
    return (low + high) / 2


def _tail(t: float, df: float, steps: int = 4000) -> float:
    """P(T > t): with T = √df · tan(a) the density is proportional to cos(a)^(df - 1), by Simpson's rule."""

    def integral(start: float) -> float:
        width = (math.pi / 2 - start) / steps
        values = [max(0.0, math.cos(start + i * width)) ** (df - 1) for i in range(steps + 1)]
        return width / 3 * (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2]))

    return integral(math.atan(t / math.sqrt(df))) / (2 * integral(0.0))


def crossed_half_width(values: Sequence[Sequence[float]], level: float = 0.05) -> float:
    """Half the interval of the grand mean of a table, rows and columns both random, by the sums of squares."""
    rows, columns = len(values), len(values[0])
    grand = fmean(value for row in values for value in row)
    row_means = [fmean(row) for row in values]
    column_means = [fmean(row[c] for row in values) for c in range(columns)]
    ms_rows = columns * sum((m - grand) ** 2 for m in row_means) / (rows - 1)
    ms_columns = rows * sum((m - grand) ** 2 for m in column_means) / (columns - 1)
    ms_noise = sum(
        (values[r][c] - row_means[r] - column_means[c] + grand) ** 2 for r in range(rows) for c in range(columns)
    ) / ((rows - 1) * (columns - 1))
    t_rows, t_columns = t_quantile(level / 2, rows - 1) ** 2, t_quantile(level / 2, columns - 1) ** 2
    squared = max(
        t_rows * ms_rows + t_columns * max(0.0, ms_columns - ms_noise), t_rows * ms_rows, t_columns * ms_columns
    )
    return math.sqrt(squared / (rows * columns))


def components(values: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Expected mean squares solved for the variances between rows, between columns and of the rest."""
    rows, columns = len(values), len(values[0])
    row_means = [fmean(row) for row in values]
    column_means = [fmean(row[c] for row in values) for c in range(columns)]
    grand = fmean(row_means)
    rest = sum(
        (values[r][c] - row_means[r] - column_means[c] + grand) ** 2 for r in range(rows) for c in range(columns)
    ) / ((rows - 1) * (columns - 1))
    ms_rows, ms_columns = columns * variance(row_means), rows * variance(column_means)
    return max(0.0, (ms_rows - rest) / columns), max(0.0, (ms_columns - rest) / rows), rest


def paired_half_width(differences: Sequence[float], level: float = 0.05) -> float:
    """Half the interval of Student's t."""
    return t_quantile(level / 2, len(differences) - 1) * math.sqrt(variance(differences) / len(differences))


def holm_rejects(p_values: Sequence[float], level: float) -> set[int]:
    """Go through the hypotheses from the smallest p value on, until one is too large for what is left."""
    rejected: set[int] = set()
    for i in sorted(range(len(p_values)), key=lambda i: p_values[i]):
        if p_values[i] * (len(p_values) - len(rejected)) > level:
            break
        rejected.add(i)
    return rejected
