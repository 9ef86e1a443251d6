"""Uniform draws that several generators use."""

from __future__ import annotations

import numpy as np


def seed_rows(labels: np.ndarray, n_per_class: int, rng: np.random.Generator) -> np.ndarray:
    """A shot, drawn uniformly, for every example that a class lacks.

    Args:
        labels (array, (N,)): The labels of the shots.
        n_per_class (int): The number of examples that each class is to have.
        rng (numpy.random.Generator): The source of randomness.

    Returns:
        (M,) int64 rows of the shots, class by class in sorted order.
    """
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    missing = np.maximum(n_per_class - counts, 0)
    return np.concatenate([rows[rng.integers(len(rows), size=m)] for rows, m in zip(rows_of, missing)])


def draw_pairs(counts: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows of one class each: a class drawn uniformly, then two different rows of it.

    Args:
        counts (array, (C,) int64): The number of rows of each class; classes follow one another.
        n (int): The number of pairs.
        rng (numpy.random.Generator): The source of randomness.

    Returns:
        Two (n,) int64 arrays of rows, equal in a place only where the class has a single row.
    """
    offsets = np.cumsum(counts) - counts
    drawn = rng.integers(len(counts), size=n)
    size = counts[drawn]
    first = rng.integers(size)
    step = 1 + rng.integers(np.maximum(size - 1, 1))  # 1..size-1 places on, modulo size: never back at first
    return offsets[drawn] + first, offsets[drawn] + (first + step) % size
