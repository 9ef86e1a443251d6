"""Differences between the centroids of a class, in double precision, as mining needs them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.distance import pdist, squareform

from lowshot.errors import InputError
from lowshot.hallucination.analogies.clusters import Centroids

NORM_OFFSET = 1e-5
"""Added to the norm of a difference before dividing by it, as the original does."""

TIE = 1e-10
"""Cosines of the same pair that differ by less than this share of the larger one are equal: the earlier wins."""

ZERO = 1e-12
"""A cosine up to this is no analogy: it is what rounding leaves of an exact zero."""

LARGEST = 1e15
"""Largest spread within a class for which squares and products stay far from overflow in either precision."""


@dataclass(frozen=True)
class Best:
    """The best partner of every pair ``i < j`` of one class, in row-major order of (i, j).

    Attributes:
        scores (array, (P,) float64): The cosine with the partner, :data:`ZERO` where there is none.
        classes (array, (P,) int64): The partner's class, -1 where there is none.
        partners (array, (P, 2, 2) int64): The partner's rows (k, l) among all centroids; [:, 0] is the partner of
            (i, j) and [:, 1] that of (j, i).
    """

    scores: np.ndarray
    classes: np.ndarray
    partners: np.ndarray

    @classmethod
    def none(cls, n_pairs: int) -> Best:
        """The state before mining, in which no pair has a partner."""
        return cls(np.full(n_pairs, ZERO), np.full(n_pairs, -1, np.int64), np.zeros((n_pairs, 2, 2), np.int64))


@dataclass(frozen=True)
class PairTable:
    """Centroids of each class relative to its first one, and the inverse norms of their differences.

    Only differences within a class matter, so each class may be shifted at will. Shifting its first centroid to the
    origin is exact for float32 input, leaves integers integers (so that exact ties remain exact), and removes the
    common offset that would otherwise cost digits in products of large, similar vectors.

    Attributes:
        centroids (Centroids): The centroids as given.
    """

    centroids: Centroids

    @property
    def start(self) -> np.ndarray:
        """(C + 1,) int64, the first row of each class among all centroids."""
        return self.centroids.offsets

    @cached_property
    def moved(self) -> np.ndarray:
        """The (M, D) float64 centroids, less the first one of their class.

        Raises:
            InputError: They lie so far apart that squares would overflow.
        """
        values = np.asarray(self.centroids.values, np.float64)
        moved = values - values[self.start[:-1]][self.centroids.class_of]
        if np.abs(moved).max() > LARGEST:
            raise InputError(
                f"centroids of one class lie more than {LARGEST:g} apart: scale the features down before mining"
            )
        return moved

    @cached_property
    def inverse_norms(self) -> list[np.ndarray]:
        """(K, K) float64 for each class: 1 / (|a_i - a_j| + 1e-5), and 0 for equal centroids."""
        tables = []
        for first, last in zip(self.start[:-1], self.start[1:]):
            distances = pdist(self.moved[first:last])  # by subtraction, so that equal centroids give exactly 0
            tables.append(squareform(np.where(distances > 0, 1 / (distances + NORM_OFFSET), 0.0)))
        return tables

    def blocks(self, row: int, max_values: int) -> list[tuple[int, int]]:
        """Ranges of classes (first, last) whose products with class ``row`` have ``max_values`` numbers at most."""
        # A class that is too large by itself still makes a range.
        size = int(self.start[row + 1] - self.start[row])
        columns = max(1, max_values // max(1, size))
        ranges, first = [], 0
        for b in range(1, self.centroids.n_classes + 1):
            if b == self.centroids.n_classes or self.start[b + 1] - self.start[first] > columns:
                ranges.append((first, b))
                first = b
        return ranges
