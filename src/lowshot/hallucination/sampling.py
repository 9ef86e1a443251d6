"""Uniform draws that generators share."""

from __future__ import annotations

import numpy as np


def seed_rows(labels: np.ndarray, n_per_class: int, rng: np.random.Generator) -> np.ndarray:
    """(M,) int64: for every example that a class lacks of ``n_per_class``, the row of a shot of it, classes sorted."""
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    missing = np.maximum(n_per_class - counts, 0)
    return np.concatenate([rows[rng.integers(len(rows), size=m)] for rows, m in zip(rows_of, missing)])


def draw_pairs(counts: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two (n,) int64 arrays of rows: each time a class, then two of its rows, different unless it has only one.

    Args:
        counts: (C,) how many rows each class has; classes follow one another.
        n: how many pairs.
        rng: source of randomness.
    """
    offsets = np.cumsum(counts) - counts
    drawn = rng.integers(len(counts), size=n)
    size = counts[drawn]
    first = rng.integers(size)
    step = 1 + rng.integers(np.maximum(size - 1, 1))  # 1..size-1 places on, around the class: never back at first
    return offsets[drawn] + first, offsets[drawn] + (first + step) % size
