"""The episodes that the original trains matching networks on."""

from __future__ import annotations

import numpy as np

from lowshot.classifiers.training_episodes import Episode, EpisodeSampler, distinct


class MatchingEpisodes(EpisodeSampler):
    """Episodes of all classes, in one order, with a query that may be among the support examples of its class.

    :class:`~lowshot.classifiers.training_episodes.EpisodeSampler` draws classes in random order, and queries that are
    no support.

    Args:
        labels (int array of shape (N,)): The labels of the examples.
        classes (int array of shape (C,)): The classes, in the order of the support set.
        n_shots (tuple of int): The least and the most support examples of a class, drawn uniformly for each class.
        seed (int): The seed that each episode derives from, with its number.
    """

    def __init__(self, labels: np.ndarray, classes: np.ndarray, n_shots: tuple[int, int], seed: int) -> None:
        place = np.empty(classes.max() + 1, np.int64)
        place[classes] = np.arange(len(classes))
        super().__init__(place[labels], n_way=None, n_shots=n_shots, n_queries=1, seed=seed)

    @property
    def n_way(self) -> int:
        """The number of classes in every episode."""
        return len(self._sizes)

    def draw(self, number: int, alike: int | None = None) -> Episode:
        """Draw the episode of that number, from 0; ``alike`` is ignored, because a step takes one episode.

        Returns:
            Episode: Support examples class after class, in ascending order of rows within a class.
        """
        rng = np.random.default_rng([self._seed, number])
        sizes, most = self._sizes, self._n_shots[1]
        n_shots = np.minimum(rng.integers(self._n_shots[0], most, size=len(sizes), endpoint=True), sizes)
        places = distinct(rng, sizes, most)
        is_support = np.arange(most) < n_shots[:, None]
        # A place past the chosen ones sorts behind every place of its class.
        places = np.sort(np.where(is_support, places, len(self._rows)), axis=1)[is_support]
        support = self._rows[np.repeat(self._starts, n_shots) + places]
        queries = self._rows[self._starts + rng.integers(sizes)]
        return Episode(support, n_shots, queries, np.arange(len(sizes)))
