"""Measures of generated features: nearest real features, a common projection, and coverage of held-out examples.

All functions take and return plain arrays; the report draws them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_argmin_min

from lowshot.checks import as_features, as_labels
from lowshot.errors import InputError


@dataclass(frozen=True)
class Projection:
    """Two coordinates of every feature, in one common plane.

    Attributes:
        real (array, (N, 2) float64): The coordinates of the real features.
        generated (array, (M, 2) float64): Those of the generated features.
        held_out (array, (H, 2) float64): Those of the held-out features.
        explained (array, (2,)): The share of the variance of all features that each coordinate shows.
    """

    real: np.ndarray
    generated: np.ndarray
    held_out: np.ndarray
    explained: np.ndarray


@dataclass(frozen=True)
class Spread:
    """Coverage of held-out examples, class by class; NaN for a class with fewer than two of them.

    Attributes:
        classes (array, (C,)): The labels, sorted.
        covered_by_shots (array, (C,)): The share of the held-out examples with a real shot nearby.
        covered (array, (C,)): The share of them with a real shot or a generated feature nearby; at least as much.
        variance_ratio (array, (C,)): The variance of the generated features, summed over dimensions, divided by that
            of the held-out ones: below 1 they vary too little, above 1 too much. NaN where a class has no generated
            features, or where its held-out ones are all equal.
        precision (array, (C,)): The share of the generated features with a held-out example nearby; NaN without any.
    """

    classes: np.ndarray
    covered_by_shots: np.ndarray
    covered: np.ndarray
    variance_ratio: np.ndarray
    precision: np.ndarray


def nearest_real(generated: ArrayLike, real: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The real feature nearest to each generated one, by brute force in chunks that bound the memory.

    Args:
        generated (array-like, (M, D)): The generated features.
        real (array-like, (N, D)): The real features.

    Returns:
        (M,) int64 rows of ``real``, and (M,) Euclidean distances.
    """
    made, known = as_features(generated, "generated features"), as_features(real, "real features")
    rows, distances = pairwise_distances_argmin_min(made, known, axis=1, metric="euclidean")
    return rows.astype(np.int64), distances


def project(real: ArrayLike, generated: ArrayLike, held_out: ArrayLike) -> Projection:
    """Project real, generated and held-out features onto the plane in which all together vary most (PCA).

    Args:
        real (array-like, (N, D)): The real features.
        generated (array-like, (M, D)): The generated features; there may be none.
        held_out (array-like, (H, D)): The held-out features.
    """
    parts = [np.asarray(part, np.float64) for part in (real, generated, held_out)]
    together = as_features(np.concatenate(parts), "features to project")
    if min(together.shape) < 2:
        raise InputError(f"a projection needs two features of two dimensions at least, got {together.shape}")
    model = PCA(n_components=2, svd_solver="full").fit(together)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    shown_real, shown_generated, shown_held_out = np.split(model.transform(together), ends)
    return Projection(shown_real, shown_generated, shown_held_out, model.explained_variance_ratio_)


def held_out_spread(
    features: ArrayLike,
    labels: ArrayLike,
    n_real: int,
    held_out: ArrayLike,
    held_out_labels: ArrayLike,
    n_neighbours: int = 5,
) -> Spread:
    """Measure how much of a class its shots cover, alone and together with the generated features.

    After "Reliable Fidelity and Diversity Metrics" (Naeem et al., ICML 2020): around every held-out example lies a
    ball that reaches to its ``n_neighbours``-th nearest held-out neighbour of its class. The example is covered when
    some feature lies in its ball (their *coverage*), and a generated feature is precise when it lies in some ball
    (their *precision*).

    Args:
        features (array-like, (N + M, D)): The result of :meth:`Generator.generate`, real features first.
        labels (array-like, (N + M,)): Their classes.
        n_real (int): N, the number of real features.
        held_out (array-like, (H, D)): Further real examples.
        held_out_labels (array-like, (H,)): Their classes.
        n_neighbours (int): The size of the neighbourhoods. A class with fewer other held-out examples takes those.

    Returns:
        A :class:`Spread` with one entry for each class of ``labels``. A class with fewer than two held-out examples
        has no spread to cover; its entries are NaN, so that one small class does not hide the others.

    Raises:
        InputError: Nothing is held out at all, features are NaN or infinite, or shapes do not fit together.
    """
    X = as_features(features, "features")
    y = as_labels(labels, X, "features")
    H = as_features(held_out, "held-out features", width=X.shape[1])
    held_y = as_labels(held_out_labels, H, "held-out features")
    classes = np.unique(y)
    real = np.arange(len(X)) < n_real
    rows: list[tuple[float, float, float, float]] = []
    for label in classes:
        mine, others = y == label, H[held_y == label].astype(np.float64)
        if len(others) < 2:
            rows.append((np.nan,) * 4)
        else:
            rows.append(_spread_of(X[mine & real], X[mine & ~real], others, n_neighbours))
    return Spread(classes, *np.array(rows).T)


def _spread_of(
    shots: np.ndarray, generated: np.ndarray, held_out: np.ndarray, n_neighbours: int
) -> tuple[float, float, float, float]:
    """The numbers covered_by_shots, covered, variance_ratio and precision of one class."""
    nth = min(n_neighbours, len(held_out) - 1)
    radius = np.partition(cdist(held_out, held_out), nth, axis=1)[:, nth]  # index 0 is the example itself
    by_shots = _within(held_out, shots, radius)
    by_generated = _within(held_out, generated, radius)
    known = by_shots.any(axis=1)
    if not len(generated):
        return known.mean(), known.mean(), np.nan, np.nan
    variance = held_out.var(axis=0).sum()
    ratio = generated.astype(np.float64).var(axis=0).sum() / variance if variance > 0 else np.nan
    return known.mean(), (known | by_generated.any(axis=1)).mean(), ratio, by_generated.any(axis=0).mean()


def _within(held_out: np.ndarray, features: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """(H, M) bool, True where a feature lies in the ball around a held-out example."""
    return cdist(held_out, features) <= radius[:, None]
