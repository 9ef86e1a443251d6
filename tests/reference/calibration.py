"""The bias on novel scores, by trying every one that could matter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tests.reference.metrics import low_shot_metrics

Run = tuple[Sequence[Sequence[float]], Sequence[int], Sequence[int], Sequence[int]]
"""Scores, labels, base and novel columns."""


def accuracy(runs: Sequence[Run], bias: float, target: str) -> float:
    """The fraction of all queries of all runs that are right after ``bias`` is added to every novel score."""
    right = total = 0.0
    for scores, labels, base, novel in runs:
        moved = [[s + bias * (c in set(novel)) for c, s in enumerate(row)] for row in scores]
        right += low_shot_metrics(moved, labels, base, novel)[target] * len(labels)
        total += len(labels)
    return right / total


def candidates(runs: Sequence[Run]) -> list[float]:
    """One bias between any two at which some base and some novel score are equal, one beyond each end, and zero."""
    meetings = sorted(
        {row[b] - row[n] for scores, _, base, novel in runs for row in scores for b in base for n in novel}
    )
    between = [(low + high) / 2 for low, high in pairwise(meetings)]
    return [meetings[0] - 1, *between, meetings[-1] + 1, 0.0]
