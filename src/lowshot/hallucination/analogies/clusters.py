"""Per-class k-means: the modes of variation of each base class (Hariharan & Girshick 2017, section 4)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from lowshot.checks import check_choice
from lowshot.errors import InputError
from lowshot.files import fingerprint
from lowshot.hallucination.analogies.cache import ArrayCache, Folder
from lowshot.progress import progress

INITS = ("k-means++", "random_directions")


@dataclass(frozen=True)
class Centroids:
    """The centroids of all classes, one class after the other; classes may have different numbers of them.

    Attributes:
        values (array, (M, D) float): The centroids.
        counts (array, (C,) int64): The number of centroids of each class, at least one; they add up to M.
    """

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, centroids: Centroids | np.ndarray | Sequence[Any]) -> Centroids:
        """Check and wrap centroids.

        Args:
            centroids (Centroids, array (C, K, D), or sequence of C arrays (K_c, D)): The centroids by class.

        Raises:
            InputError: Shapes are wrong, widths differ, a class is empty, or values are NaN or infinite.
        """
        if isinstance(centroids, Centroids):
            return centroids
        parts = [np.asarray(part) for part in centroids]
        for c, part in enumerate(parts):
            if part.ndim != 2 or not part.size or part.shape[1] != parts[0].shape[-1]:
                raise InputError(
                    f"centroids of class {c} have shape {part.shape}: expected (K, D) with K > 0 and the same D > 0 "
                    "for every class, that is an array (C, K, D) or a list of arrays (K, D)"
                )
            if part.dtype.kind not in "fiu" or not np.isfinite(part).all():
                raise InputError(f"centroids of class {c} hold NaN, infinity or no numbers at all")
        if not parts:
            raise InputError("no centroids: expected an array (C, K, D) or a list of arrays (K, D)")
        values = np.concatenate(parts)
        if values.dtype != np.float64:
            values = values.astype(np.float32 if values.dtype.kind == "f" else np.float64)
        return cls(values, np.array([len(part) for part in parts], np.int64))

    @property
    def n_classes(self) -> int:
        """C, the number of classes."""
        return len(self.counts)

    @cached_property
    def offsets(self) -> np.ndarray:
        """(C + 1,) int64; class c has the rows from offsets[c] up to offsets[c + 1]."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)

    @cached_property
    def class_of(self) -> np.ndarray:
        """(M,) int64, the class of each row."""
        return np.repeat(np.arange(self.n_classes), self.counts)

    def __getitem__(self, c: int) -> np.ndarray:
        """The (K_c, D) centroids of class c."""
        return self.values[self.offsets[c] : self.offsets[c + 1]]


def fit_centroids(
    features: np.ndarray,
    labels: np.ndarray,
    n_clusters: int = 100,
    n_rounds: int = 20,
    *,
    init: str = "k-means++",
    random_state: int = 0,
    n_jobs: int | None = None,
    cache: Folder = None,
) -> Centroids:
    """Cluster the features of each class by k-means.

    With k-means++ a class with no more distinct features than ``n_clusters`` gets those as its centroids, so counts can
    differ. The result depends on ``random_state`` and the class alone, not on ``n_jobs``: each class has its own random
    stream, and is clustered by one thread (sums in another order would round differently).

    Args:
        features (array, (N, D) float): The base features.
        labels (array, (N,)): Their labels. Centroids come class by class in sorted order.
        n_clusters (int): The most centroids of a class.
        n_rounds (int): The most iterations of k-means.
        init (str): The initialisation: "k-means++", or "random_directions" as in the original program: unit vectors of
            random directions, and after each iteration a random feature of the class in place of every centroid that
            has never been the nearest of one. Every class then has ``n_clusters``, and their inertia is higher.
        random_state (int): The seed of the initialisations.
        n_jobs (int, optional): The number of classes clustered at a time; None takes every core.
        cache (path-like, optional): A folder that saves the result for the next call with the same input.
    """
    check_choice("init", init, INITS)
    classes, counts = np.unique(labels, return_counts=True)
    stored = ArrayCache(cache)
    name = ""
    if stored.folder is not None:
        told = [] if init == "k-means++" else [init]
        key = fingerprint(features, np.asarray(labels), [n_clusters, n_rounds, random_state, *told])
        name = f"centroids-{key}"
        if (found := stored.load(name)) is not None:
            return Centroids(found["values"], found["counts"])

    rows = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    cluster = _k_means_plus_plus if init == "k-means++" else _random_directions
    jobs = (delayed(cluster)(features[r], n_clusters, n_rounds, (random_state, c)) for c, r in enumerate(rows))
    # Threads share the features; nearly all the time is spent in compiled code that lets other threads run.
    parallel = Parallel(n_jobs=-1 if n_jobs is None else n_jobs, prefer="threads", return_as="generator")
    parts = []
    with threadpool_limits(1), progress("Clustering classes", len(classes)) as tick:
        for part in parallel(jobs):
            parts.append(part)
            tick()
    centroids = Centroids.of(parts)
    stored.save(name, values=centroids.values, counts=centroids.counts)
    return centroids


def _k_means_plus_plus(features: np.ndarray, n_clusters: int, n_rounds: int, seed: tuple[int, int]) -> np.ndarray:
    """(K, D) float32 centroids of one class."""
    # Imported here: it takes a second, and the other initialisation does not need it.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    features = np.asarray(features, np.float32)
    _, first = np.unique(features, axis=0, return_index=True)
    if len(first) <= n_clusters:
        return features[np.sort(first)]
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    # OpenMP counts threads per calling thread, so the limit set outside does not reach a worker.
    with warnings.catch_warnings(), threadpool_limits(1, user_api="openmp"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(n_clusters, init="k-means++", n_init=1, max_iter=n_rounds, random_state=state).fit(features)
    return np.asarray(model.cluster_centers_, np.float32)


def _random_directions(features: np.ndarray, n_clusters: int, n_rounds: int, seed: tuple[int, int]) -> np.ndarray:
    """(n_clusters, D) float32 centroids of one class."""
    rng = np.random.default_rng(seed)
    features = np.asarray(features, np.float32)
    centroids = rng.standard_normal((n_clusters, features.shape[1]), dtype=np.float32)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    ever_nearest = np.zeros(n_clusters, bool)
    for _ in range(n_rounds):
        # Distances less the squared norms of the features, which are the same for all centroids.
        distances = (centroids**2).sum(axis=1) - 2 * features @ centroids.T
        members = np.zeros((n_clusters, len(features)), np.float32)
        members[distances.argmin(axis=1), np.arange(len(features))] = 1
        counts = members.sum(axis=1)
        ever_nearest |= counts > 0
        centroids = np.where(counts[:, None] > 0, members @ features / np.maximum(counts, 1)[:, None], centroids)
        never = np.flatnonzero(~ever_nearest)
        centroids[never] = features[rng.integers(len(features), size=len(never))]
    return centroids
