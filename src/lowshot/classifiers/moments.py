"""Class means and the within-class scatter, in passes over blocks of rows, so that memory follows the block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

BLOCK_ROWS = 8192

RowMap = Callable[[np.ndarray], np.ndarray]


class ClassMoments(NamedTuple):
    """First and second moments of labelled features, in float64.

    Attributes:
        counts (array, (C,)): The number of examples of each class.
        means (array, (C, D)): The class means.
        scatter (array, (D, D)): The sum over all examples of the outer product of their offset from their class mean,
            weighted where weights are given.
    """

    counts: np.ndarray
    means: np.ndarray
    scatter: np.ndarray


def blocks(n_rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cover ``n_rows`` rows, ``size`` at a time."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def class_means(X: np.ndarray, codes: np.ndarray, n_classes: int, row_map: RowMap | None = None) -> np.ndarray:
    """Means of the rows of each class.

    Args:
        X (array, (N, D)): The features.
        codes (array, (N,) int): The class of each row; every number below C must occur.
        n_classes (int): C, the number of classes.
        row_map (Callable, optional): A map of each block of rows before the means are taken; it may change the width.

    Returns:
        (C, D) float64.
    """
    sums: np.ndarray | float = 0.0
    for rows in blocks(len(X)):
        values = (X[rows] if row_map is None else row_map(X[rows])).astype(np.float64, copy=False)
        # One sparse product adds every row to its class; column j of the (C, n) matrix holds the class of row j.
        n = len(values)
        members = sparse.csc_matrix((np.ones(n), codes[rows], np.arange(n + 1)), shape=(n_classes, n))
        sums = sums + members @ values
    return np.asarray(sums) / np.bincount(codes, minlength=n_classes)[:, None]


def class_moments(
    X: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    row_map: RowMap | None = None,
    weights: np.ndarray | None = None,
) -> ClassMoments:
    """Compute counts, means and within-class scatter.

    Args:
        X (array, (N, D)): The examples.
        codes (int array, (N,)): The classes of the rows, from 0.
        n_classes (int): The number of classes, each with an example.
        row_map (callable, optional): A function that turns blocks of rows into the rows that are summed.
        weights (array, (C,), optional): The weight of an example of each class in the scatter; None for one.
    """
    # Two passes: subtracting the finished means first loses no digits.
    means = class_means(X, codes, n_classes, row_map)
    scatter = np.zeros((means.shape[1], means.shape[1]))
    for rows in blocks(len(X)):
        offsets = (X[rows] if row_map is None else row_map(X[rows])) - means[codes[rows]]
        scatter += (offsets.T if weights is None else offsets.T * weights[codes[rows]]) @ offsets
    return ClassMoments(np.bincount(codes, minlength=n_classes), means, scatter)
