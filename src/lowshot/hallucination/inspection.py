"""Measures of generated features: nearest real features and their classes, a common projection, coverage.

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

OTHERS = 5
"""The number of other classes whose features :attr:`Spread.covered_by_others` tries on a class."""


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
        covered_by_others (array, (C,)): The share of the held-out examples with a shot or a generated feature of
            another class nearby, the mean over :data:`OTHERS` other classes: what coverage comes to without any
            knowledge of the class. NaN where there is no other class.
    """

    classes: np.ndarray
    covered_by_shots: np.ndarray
    covered: np.ndarray
    variance_ratio: np.ndarray
    precision: np.ndarray
    covered_by_others: np.ndarray


@dataclass(frozen=True)
class Landing:
    """Classes of the real features nearest to some features, as shares that sum to 1 for each class.

    Attributes:
        classes (array, (C,)): The labels of the features, sorted.
        own (array, (C,)): The share of them whose nearest real feature is of their class.
        novel (array, (C,)): The share whose nearest real feature is of another of ``classes``, the novel ones.
        base (array, (C,)): The share whose nearest real feature is of any further class.
    """

    classes: np.ndarray
    own: np.ndarray
    novel: np.ndarray
    base: np.ndarray


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


def landing(labels: ArrayLike, nearest_labels: ArrayLike) -> Landing:
    """The classes that features lie nearest to, from the labels of their nearest real features.

    Coverage looks at one class alone; this looks at all of them. It is the accuracy on generated features of a
    classifier that knows the real ones, as GAN-test ("How good is my GAN?", Shmelkov et al., ECCV 2018, section 3),
    with the nearest neighbour as the classifier.

    Args:
        labels (array-like, (M,)): The classes that the features are meant for.
        nearest_labels (array-like, (M,)): The class of the real feature nearest to each, by :func:`nearest_real`.
    """
    meant, found = np.asarray(labels), np.asarray(nearest_labels)
    classes = np.unique(meant)
    is_novel = np.isin(found, classes)

    def share(hits: np.ndarray) -> np.ndarray:
        return np.array([hits[meant == label].mean() for label in classes])

    return Landing(classes, share(found == meant), share(is_novel & (found != meant)), share(~is_novel))


def worth_in_images(features: ArrayLike, labels: ArrayLike, held_out: ArrayLike, held_out_labels: ArrayLike) -> float:
    """The number of real examples of a class whose mean would be as close to that of the class as the mean of these.

    The mean of n independent examples of a class of variance s² (summed over dimensions) is at an expected squared
    distance of s²/n from the class mean. Held-out examples give s² and the class mean, the latter with an error of
    s²/H, which is subtracted. So n is the sum of s² over classes divided by the sum of the squared distances: about the
    number of shots for real shots, and about the number of all examples if generated ones are as good as real ones.

    Args:
        features (array-like, (N, D)): The shots, or shots and generated features.
        labels (array-like, (N,)): Their classes.
        held_out (array-like, (H, D)): Further real examples.
        held_out_labels (array-like, (H,)): Their classes.

    Returns:
        float: The number. NaN where no class of ``labels`` has two held-out examples, where these are all equal, and
        infinity where the means are as close as the means of so few held-out examples can tell.
    """
    X = as_features(features, "features").astype(np.float64)
    y = as_labels(labels, X, "features")
    H = as_features(held_out, "held-out features", width=X.shape[1]).astype(np.float64)
    held_y = as_labels(held_out_labels, H, "held-out features")
    variance = squared = 0.0
    for label in np.unique(y):
        own = H[held_y == label]
        if len(own) > 1:
            of_class = own.var(axis=0, ddof=1).sum()
            variance += of_class
            squared += ((X[y == label].mean(axis=0) - own.mean(axis=0)) ** 2).sum() - of_class / len(own)
    if variance == 0:
        return np.nan
    return float(variance / squared) if squared > 0 else np.inf


def project(real: ArrayLike, generated: ArrayLike, held_out: ArrayLike) -> Projection:
    """Project real, generated and held-out features onto the plane in which all together vary most (PCA).

    Args:
        real (array-like, (N, D)): The real features.
        generated (array-like, (M, D)): The generated features; there may be none.
        held_out (array-like, (H, D)): The held-out features.

    Raises:
        InputError: There are fewer than two features or dimensions, or a feature is not finite.
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
    of_class = {label: X[y == label] for label in classes}
    rows: list[tuple[float, ...]] = []
    for place, label in enumerate(classes):
        mine, own = y == label, H[held_y == label].astype(np.float64)
        if len(own) < 2:
            rows.append((np.nan,) * 5)
            continue
        nth = min(n_neighbours, len(own) - 1)
        radius = np.partition(cdist(own, own), nth, axis=1)[:, nth]  # index 0 is the example itself
        others = [_within(own, of_class[other], radius).any(axis=1).mean() for other in _others(classes, place)]
        by_others = float(np.mean(others)) if others else np.nan
        rows.append((*_spread_of(X[mine & real], X[mine & ~real], own, radius), by_others))
    return Spread(classes, *np.array(rows).T)


def _others(classes: np.ndarray, place: int) -> np.ndarray:
    """All classes but the one at ``place``; of many, :data:`OTHERS` at even distances.

    Neighbouring labels are often of classes that look alike, and would cover more.
    """
    after = np.concatenate([classes[place + 1 :], classes[:place]])
    if len(after) <= OTHERS:
        return after
    return after[(np.arange(OTHERS) * len(after)) // OTHERS]


def _spread_of(
    shots: np.ndarray, generated: np.ndarray, held_out: np.ndarray, radius: np.ndarray
) -> tuple[float, float, float, float]:
    """The numbers covered_by_shots, covered, variance_ratio and precision of one class."""
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
