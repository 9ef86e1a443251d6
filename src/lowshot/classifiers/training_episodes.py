"""Training episodes: small low-shot problems drawn from the base classes, on which a network learns to compare."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Episode(NamedTuple):
    """Row numbers of one episode. Its classes are numbered 0..W-1, in an order that changes from episode to episode.

    Attributes:
        support (array, (S,) int64): The rows of the support set, class after class.
        counts (array, (W,) int64): The number of rows of each class in ``support``.
        queries (array, (Q,) int64): The rows of the queries, none of them in ``support``.
        targets (array, (Q,) int64): The classes of the queries.
    """

    support: np.ndarray
    counts: np.ndarray
    queries: np.ndarray
    targets: np.ndarray


def seed_of(episodes: Sequence[Episode]) -> int:
    """A seed for what a training draws beside its episodes; it follows from their rows alone, as resuming needs."""
    rows = b"".join(np.ascontiguousarray(episode.support, np.int64).tobytes() for episode in episodes)
    return zlib.crc32(rows)


class EpisodeSampler:
    """Draws episodes; the n-th depends on the seed and n alone, so that training can resume anywhere.

    Rows are sorted by class once. Then an episode costs a few operations on (W, shots + queries) arrays, however many
    examples there are: distinct examples of all classes are drawn together by Floyd's algorithm.

    Args:
        codes (array, (N,) int): The class of each row. Classes of a single row cannot give both shot and query and are
            left out.
        n_way (int, optional): The number of classes of an episode; None takes all.
        n_shots (tuple of two int): The least and the most support examples of a class; the number is drawn uniformly
            for each class.
        n_queries (int): The number of queries of a class (fewer where a class has no more).
        seed (int): The seed, at least 0.
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
        """The number of classes of every episode; below two there is nothing to learn from."""
        return self._n_way

    def draw(self, number: int, alike: int | None = None) -> Episode:
        """Draw one episode.

        Args:
            number (int): The number of the episode, from 0.
            alike (int, optional): The number of an episode whose shots this one copies: its first class has as many as
                the first class of that one, and so on. The classes come in random order, so each episode by itself has
                the distribution of any other; but episodes of one shape can be computed together (shapes still differ
                where a class has too few examples).
        """
        rng, classes, n_shots = self._classes_and_shots(number)
        if alike is not None and alike != number:
            n_shots = self._classes_and_shots(alike)[2]
        sizes = self._sizes[classes]
        n_queries = np.minimum(self._n_queries, sizes - 1)
        n_shots = np.minimum(n_shots, sizes - n_queries)
        columns = np.arange(self._n_queries + self._n_shots[1])
        rows = self._rows[self._starts[classes, None] + distinct(rng, sizes, len(columns))]
        is_query = columns < n_queries[:, None]
        is_support = ~is_query & (columns < (n_queries + n_shots)[:, None])
        return Episode(rows[is_support], n_shots, rows[is_query], np.repeat(np.arange(len(classes)), n_queries))

    def _classes_and_shots(self, number: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
        """The generator of an episode after it has drawn the (W,) classes in order and the (W,) numbers of shots."""
        rng = np.random.default_rng([self._seed, number])
        classes = rng.permutation(self._classes)[: self._n_way]
        return rng, classes, rng.integers(self._n_shots[0], self._n_shots[1], size=len(classes), endpoint=True)


def distinct(rng: np.random.Generator, sizes: np.ndarray, k: int) -> np.ndarray:
    """Draw distinct numbers for several ranges at once.

    Floyd's algorithm (Bentley and Floyd 1987) for all ranges together: the j-th round draws from the first
    size - k + j + 1 numbers and takes the last of them where the drawn one is there already.

    Args:
        rng (numpy.random.Generator): The source of randomness.
        sizes (array, (W,) int): The sizes of the ranges.
        k (int): The number of draws for each.

    Returns:
        (W, k) int; row c starts with min(k, sizes[c]) distinct numbers of range(sizes[c]) in random order, then zeros.
    """
    drawn = np.full((len(sizes), k), -1)
    for j in range(k):
        last = sizes - k + j
        number = rng.integers(np.maximum(last, 0), endpoint=True)
        number = np.where((drawn[:, :j] == number[:, None]).any(axis=1), last, number)
        drawn[:, j] = np.where(last >= 0, number, -1)
    # Floyd's sets are uniform but their order is not; unused entries, -1, go last.
    order = np.argsort(rng.random(drawn.shape) + (drawn < 0), axis=1)
    return np.maximum(np.take_along_axis(drawn, order, axis=1), 0)
