"""Analogy mining from its definition: every difference vector against every other, one comparison at a time.

Hariharan & Girshick 2017, section 4.1, with the original program's constants. Inner products and squared norms are
taken as whole vectors in double precision, so on small integers they are exact and ties are ties.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mine(classes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(M, 4) int64 quadruples and (M,) float64 cosines for a list of (K, D) centroids."""
    classes = [np.asarray(centroids, np.float64) for centroids in classes]
    start = np.cumsum([0, *map(len, classes)])
    quadruples, scores = [], []
    for a, mine_ in enumerate(classes):
        for i in range(len(mine_)):
            for j in range(len(mine_)):
                if i == j:
                    continue
                difference = mine_[i] - mine_[j]
                best, partner = 0.0, None
                for b, other in enumerate(classes):
                    if b == a:
                        continue
                    for k in range(len(other)):
                        for l in range(len(other)):  # noqa: E741 (the paper's letter)
                            if k != l and (cosine := similarity(difference, other[k] - other[l])) > best:
                                best, partner = cosine, (start[b] + k, start[b] + l)
                if partner is not None:
                    quadruples.append((start[a] + i, start[a] + j, *partner))
                    scores.append(best)
    return np.array(quadruples, np.int64).reshape(-1, 4), np.array(scores)


def similarity(u: np.ndarray, v: np.ndarray) -> float:
    """The inner product of two differences, each divided by its norm + 1e-5."""
    return float(np.sum(u * v) / ((np.sqrt(np.sum(u * u)) + 1e-5) * (np.sqrt(np.sum(v * v)) + 1e-5)))
