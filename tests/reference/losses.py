"""The auxiliary losses of arXiv 1606.02819, one number at a time."""

from __future__ import annotations

import math


def _errors(scores: list[list[float]], labels: list[int]) -> list[list[float]]:
    """y − p for each example."""
    rows = []
    for row, label in zip(scores, labels):
        top = max(row)
        exponentials = [math.exp(value - top) for value in row]
        total = sum(exponentials)
        rows.append([(1.0 if c == label else 0.0) - e / total for c, e in enumerate(exponentials)])
    return rows


def sgm(features, scores, labels) -> float:
    total = 0.0
    for phi, error in zip(features, _errors(scores, labels)):
        for e in error:
            for f in phi:
                total += (e * f) ** 2
    return total / len(labels)


def batch_sgm(features, scores, labels) -> float:
    errors = _errors(scores, labels)
    total = 0.0
    for c in range(len(errors[0])):
        for d in range(len(features[0])):
            entry = 0.0
            for n in range(len(labels)):
                entry += errors[n][c] * features[n][d]
            total += (entry / len(labels)) ** 2
    return total


def feature_l2(features, scores, labels) -> float:
    return sum(f * f for phi in features for f in phi) / (2 * len(labels))
