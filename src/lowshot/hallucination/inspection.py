"""Numbers to judge generated features by: what they look like, where they lie, and how much of a class they cover.

All functions take plain arrays and return plain arrays; drawing them is the report's business.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_argmin_min

from lowshot.errors import InputError
from lowshot.hallucination.checks import as_features, as_labels


@dataclass(frozen=True)
class Projection:
    """Two coordinates of every feature, in one common plane.

    Attributes:
        real, generated, held_out: (N, 2), (M, 2), (H, 2) float64.
        explained: (2,) the share of the variance of all of them that each coordinate shows.
    """

    real: np.ndarray
    generated: np.ndarray
    held_out: np.ndarray
    explained: np.ndarray


@dataclass(frozen=True)
class Spread:
    """How much of the spread of held-out examples is covered, class by class; NaN where fewer than two are held out.

    Attributes:
        classes: (C,) the labels, sorted.
        covered_by_shots: (C,) share of the held-out examples with a real shot nearby.
        covered: (C,) share of them with a real shot or a generated feature nearby; at least as much.
        variance_ratio: (C,) variance of the generated features, summed over dimensions, over that of the held-out ones:
            below 1 they huddle, above 1 they stray. NaN where a class has none, or the held-out ones are all equal.
        precision: (C,) share of the generated features that lie nearby some held-out example; NaN without any.
    """

    classes: np.ndarray
    covered_by_shots: np.ndarray
    covered: np.ndarray
    variance_ratio: np.ndarray
    precision: np.ndarray


def nearest_real(generated: ArrayLike, real: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Which real feature is most like each generated one: (M,) int64 rows of ``real``, and (M,) Euclidean distances.

    Compared by brute force, in chunks that bound the memory.

    Args:
        generated: (M, D).
        real: (N, D).
    """
    made, known = as_features(generated, "generated features"), as_features(real, "real features")
    rows, distances = pairwise_distances_argmin_min(made, known, axis=1, metric="euclidean")
    return rows.astype(np.int64), distances


def project(real: ArrayLike, generated: ArrayLike, held_out: ArrayLike) -> Projection:
    """The plane in which real, generated and held-out features together vary most (PCA).

    Args:
        real, generated, held_out: (N, D), (M, D), (H, D); ``generated`` may be empty.
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
    """How much of what a class looks like its shots cover, alone and with the generated features.

    After "Reliable Fidelity and Diversity Metrics" (Naeem et al., ICML 2020), with the roles fixed by the question:
    around every held-out example lies a ball that reaches to its ``n_neighbours``-th nearest held-out neighbour of its
    class. The example is covered when some feature lies in its ball (their *coverage*), and a generated feature is
    precise when it lies in some ball (their *precision*).

    Args:
        features: (N + M, D) what :meth:`Generator.generate` returned: real ones first.
        labels: (N + M,) their classes.
        n_real: N.
        held_out: (H, D) further real examples.
        held_out_labels: (H,) their classes.
        n_neighbours: size of the neighbourhoods; a class with fewer other held-out examples takes those it has.

    Returns:
        One entry for each class of ``labels``. A class with fewer than two held-out examples has no spread to cover:
        its entries are NaN, so that one small class does not hide the others.

    Raises:
        InputError: nothing is held out at all, NaN or infinity, or shapes that do not fit.
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
    """covered_by_shots, covered, variance_ratio and precision of one class."""
    nth = min(n_neighbours, len(held_out) - 1)
    radius = np.partition(cdist(held_out, held_out), nth, axis=1)[:, nth]  # place 0 is the example itself
    by_shots = _within(held_out, shots, radius)
    by_generated = _within(held_out, generated, radius)
    known = by_shots.any(axis=1)
    if not len(generated):
        return known.mean(), known.mean(), np.nan, np.nan
    variance = held_out.var(axis=0).sum()
    ratio = generated.astype(np.float64).var(axis=0).sum() / variance if variance > 0 else np.nan
    return known.mean(), (known | by_generated.any(axis=1)).mean(), ratio, by_generated.any(axis=0).mean()


def _within(held_out: np.ndarray, features: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """(H, M) bool: which features lie in the ball around each held-out example."""
    return cdist(held_out, features) <= radius[:, None]
