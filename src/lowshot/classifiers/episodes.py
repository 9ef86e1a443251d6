"""Episodes: small low-shot problems drawn from the base classes, on which a comparison of features is learned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Episode(NamedTuple):
    """Row numbers of one episode. Its classes are numbered 0..W-1, in an order that changes from episode to episode.

    Attributes:
        support: (S,) int64 rows, class after class.
        counts: (W,) how many rows of ``support`` each class has.
        queries: (Q,) int64 rows, none of them in ``support``.
        targets: (Q,) int64 classes of the queries.
    """

    support: np.ndarray
    counts: np.ndarray
    queries: np.ndarray
    targets: np.ndarray


class EpisodeSampler:
    """Draws episodes; the n-th depends on the seed and n alone, so that training can stop and go on anywhere.

    Rows are sorted by class once. Then an episode costs a few operations on (W, shots + queries) arrays, however many
    examples there are: distinct examples of all classes are drawn together by Floyd's algorithm.

    Args:
        codes: (N,) class of each row. Classes of a single row cannot give both shot and query and are left out.
        n_way: classes an episode; ``None`` for all.
        n_shots: the least and the most support examples of a class, drawn uniformly for each class.
        n_queries: queries of each class (fewer of a class that has no more).
        seed: any non-negative number.
    """

    def __init__(
        self, codes: np.ndarray, *, n_way: int | None, n_shots: tuple[int, int], n_queries: int, seed: int
    ) -> None:
        counts = np.bincount(codes)
        self._rows = np.argsort(codes, kind="stable")
        self._classes = np.flatnonzero(counts >= 2)
        self._sizes = counts
        self._starts = np.cumsum(counts) - counts
        self._n_way = len(self._classes) if n_way is None else min(n_way, len(self._classes))
        self._n_shots = n_shots
        self._n_queries = n_queries
        self._seed = seed

    @property
    def n_way(self) -> int:
        """Classes in every episode; below two there is nothing to learn from."""
        return self._n_way

    def draw(self, number: int, alike: int | None = None) -> Episode:
        """The episode of that number, from 0.

        With ``alike`` its first class has as many shots as the first class of that episode, and so on. The classes come
        in random order, so each episode by itself is drawn as any other; but episodes of one shape can be computed
        together (shapes still differ where a class has too few examples).
        """
        rng, classes, n_shots = self._dealt(number)
        if alike is not None and alike != number:
            n_shots = self._dealt(alike)[2]
        sizes = self._sizes[classes]
        n_queries = np.minimum(self._n_queries, sizes - 1)
        n_shots = np.minimum(n_shots, sizes - n_queries)
        columns = np.arange(self._n_queries + self._n_shots[1])
        rows = self._rows[self._starts[classes, None] + distinct(rng, sizes, len(columns))]
        is_query = columns < n_queries[:, None]
        is_support = ~is_query & (columns < (n_queries + n_shots)[:, None])
        return Episode(rows[is_support], n_shots, rows[is_query], np.repeat(np.arange(len(classes)), n_queries))

    def _dealt(self, number: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
        """The episode's generator after it has drawn the (W,) classes in their order and the (W,) shots wanted."""
        rng = np.random.default_rng([self._seed, number])
        classes = rng.permutation(self._classes)[: self._n_way]
        return rng, classes, rng.integers(self._n_shots[0], self._n_shots[1], size=len(classes), endpoint=True)


def distinct(rng: np.random.Generator, sizes: np.ndarray, k: int) -> np.ndarray:
    """(W, k) numbers: row c starts with min(k, sizes[c]) distinct ones of range(sizes[c]) in random order, then zeros.

    Floyd's algorithm (Bentley and Floyd 1987) for all rows together: the j-th round draws from the first
    size - k + j + 1 numbers and takes the last of them when the drawn one is there already.
    """
    drawn = np.full((len(sizes), k), -1)
    for j in range(k):
        last = sizes - k + j
        number = rng.integers(np.maximum(last, 0), endpoint=True)
        number = np.where((drawn[:, :j] == number[:, None]).any(axis=1), last, number)
        drawn[:, j] = np.where(last >= 0, number, -1)
    # Floyd's sets are uniform but their order is not; the unused places, -1, go last.
    order = np.argsort(rng.random(drawn.shape) + (drawn < 0), axis=1)
    return np.maximum(np.take_along_axis(drawn, order, axis=1), 0)
