"""k-means as the original program starts and repairs it, an example and a centroid at a time."""

from __future__ import annotations

import numpy as np


def random_direction_centroids(
    features: np.ndarray, n_clusters: int, n_rounds: int, rng: np.random.Generator
) -> np.ndarray:
    """(n_clusters, D) float64 centroids.

    They start as unit vectors of random directions. In a round every example goes to its nearest centroid, and every
    centroid that won examples moves to their mean; then each one that has never won any is put on a random example.
    """
    start = rng.standard_normal((n_clusters, features.shape[1]), dtype=np.float32)
    centroids = [direction / np.sqrt(np.sum(direction.astype(float) ** 2)) for direction in start]
    has_won = [False] * n_clusters
    for _ in range(n_rounds):
        won: list[list[np.ndarray]] = [[] for _ in range(n_clusters)]
        for example in features.astype(float):
            distances = [float(np.sum((example - centroid) ** 2)) for centroid in centroids]
            won[distances.index(min(distances))].append(example)
        for k in range(n_clusters):
            if won[k]:
                has_won[k] = True
                centroids[k] = np.mean(won[k], axis=0)
        losers = [k for k in range(n_clusters) if not has_won[k]]
        for k, row in zip(losers, rng.integers(len(features), size=len(losers))):
            centroids[k] = features[row].astype(float)
    return np.array(centroids)


def inertia(features: np.ndarray, centroids: np.ndarray) -> float:
    """The sum of squared distances of the features to their nearest centroid."""
    return sum(min(float(np.sum((x - c) ** 2)) for c in centroids) for x in features.astype(float))
