"""Generation with a stored analogy-based generator, as the original draws (Hariharan & Girshick 2017, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lowshot.errors import InputError
from lowshot.hallucination.sampling import seed_rows

LAYERS = ("fc1", "fc2", "fc3")
_ROWS = 8192


@dataclass(frozen=True)
class StoredAnalogies:
    """The content of a file of an analogy-based generator.

    Where :class:`~lowshot.hallucination.AnalogyGenerator` draws two different centroids c and d, the original draws
    each by itself, so that they may be the same.

    Attributes:
        centroids (float32 array of shape (M, D)): The centroids of all base classes, class after class.
        counts (int64 array of shape (C,)): The number of centroids of each base class.
        weights (mapping of str to float32 array): ``fc1.weight`` (hidden, 3 D), ``fc1.bias``, … of the network G.
        signed (bool): True where G ends without a ReLU, as lowshot's does on features that may be negative.
    """

    centroids: np.ndarray
    counts: np.ndarray
    weights: Mapping[str, np.ndarray]
    signed: bool = False

    def generate(
        self, features: np.ndarray, labels: np.ndarray, n_per_class: int, random_state: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bring every class with fewer than ``n_per_class`` shots up to that number.

        For each missing one, a shot of the class, a base class and two of its centroids are drawn uniformly.

        Args:
            features (float32 array of shape (N, D)): The shots.
            labels (int array of shape (N,)): Their classes.
            n_per_class (int): The number of features of each class, shots included.
            random_state (int): The seed.

        Returns:
            tuple: Features (N + M, D) and labels (N + M,), the shots first.

        Raises:
            InputError: The generator was trained on features of another width.
        """
        dim = self.centroids.shape[1]
        if features.shape[1] != dim:
            raise InputError(f"the shots have {features.shape[1]} dimensions where {dim} are expected by the generator")
        rng = np.random.default_rng([2, random_state])
        seeds = seed_rows(labels, n_per_class, rng)
        c, d = self._draw_centroids(len(seeds), rng)
        made = [
            self._complete(features[seeds[i : i + _ROWS]], c[i : i + _ROWS], d[i : i + _ROWS])
            for i in range(0, len(seeds), _ROWS)
        ]
        return np.concatenate([features, *made]), np.concatenate([labels, labels[seeds]])

    def _draw_centroids(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Two rows of ``centroids`` for each of ``n`` new features, of the same base class and maybe the same row."""
        base_class = rng.integers(len(self.counts), size=n)
        first, size = (np.cumsum(self.counts) - self.counts)[base_class], self.counts[base_class]
        return first + rng.integers(size), first + rng.integers(size)

    def _complete(self, seeds: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
        """G(seed, c, d), (n, D)."""
        x = np.concatenate([seeds, self.centroids[c], self.centroids[d]], axis=1)
        for layer in LAYERS:
            x = x @ self.weights[f"{layer}.weight"].T + self.weights[f"{layer}.bias"]
            if not self.signed or layer != LAYERS[-1]:
                x = np.maximum(x, 0)
        return x
