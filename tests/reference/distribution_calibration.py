"""Distribution calibration (Yang, Liu & Xu, ICLR 2021) value by value, with a power that keeps the sign."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def signed_power(value: float, power: float) -> float:
    """sign(x) |x|^power."""
    return math.copysign(abs(value) ** power, value)


def moments(
    shot: Sequence[float],
    features: Sequence[Sequence[float]],
    labels: Sequence[int],
    power: float,
    n_nearest: int,
    alpha: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and covariance (D, D) of the Gaussian of a shot, in the space of transformed features."""
    by_class: dict[int, list[list[float]]] = {}
    for feature, label in zip(features, labels, strict=True):
        by_class.setdefault(label, []).append([signed_power(value, power) for value in feature])
    bent = [signed_power(value, power) for value in shot]
    means = {label: [sum(column) / len(rows) for column in zip(*rows)] for label, rows in by_class.items()}
    nearest = sorted(means, key=lambda label: math.dist(means[label], bent))[:n_nearest]
    dims = range(len(bent))
    mean = [(sum(means[label][d] for label in nearest) + bent[d]) / (n_nearest + 1) for d in dims]

    def covariance(label: int, d: int, e: int) -> float:
        centre, rows = means[label], by_class[label]
        return sum((row[d] - centre[d]) * (row[e] - centre[e]) for row in rows) / (len(rows) - 1)

    spread = [[sum(covariance(label, d, e) for label in nearest) / n_nearest + alpha for e in dims] for d in dims]
    return np.array(mean), np.array(spread)
