"""Mining analogies: pairs of centroids of different classes whose differences point the same way.

Hariharan & Girshick 2017, section 4.1: for every ordered pair of centroids (i, j) of a class, the pair (k, l) of
another class whose difference has the most similar direction. Computed directly this compares every difference vector
with every other, 15 PFLOP at ImageNet's size. But no difference needs to be formed::

    (a_i - a_j) . (b_k - b_l)  =  G_ik - G_il - G_jk + G_jl      with  G = A B^T

so a pair of classes costs one small product and a pass of subtract, scale and maximum. Swapping i and j only changes
signs, which halves the pairs on both sides, and upper bounds spare most of the rest (see kernel.c).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from lowshot.devices import pick_device
from lowshot.errors import InputError
from lowshot.files import fingerprint
from lowshot.hallucination.analogies import native
from lowshot.hallucination.analogies.cache import ArrayCache, Folder
from lowshot.hallucination.analogies.clusters import Centroids
from lowshot.hallucination.analogies.pairs import Best, PairTable
from lowshot.progress import progress


@dataclass(frozen=True)
class Analogies:
    """Analogies a_i : a_j :: b_k : b_l, in order of a, then i, then j.

    Attributes:
        quadruples (array, (M, 4) int64): The rows (i, j, k, l) of the centroids, counted class after class.
        scores (array, (M,) float32): The cosines of the two differences, in (0, 1].
    """

    quadruples: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


class Miner(Protocol):
    """Finds the best partner of every pair of one class."""

    def best_of(self, row: int) -> Best: ...


def mine_analogies(
    centroids: Centroids | np.ndarray | Sequence[Any],
    *,
    device: str = "cpu",
    n_jobs: int | None = None,
    cache: Folder = None,
    show_progress: bool = True,
) -> Analogies:
    """Find, for every ordered pair of centroids of each class, the most similar ordered pair of any other class.

    The similarity of (i, j) and (k, l) is the inner product of their differences, each divided by its norm + 1e-5. A
    pair whose best similarity is not positive has no analogy; nor has a pair of equal centroids. Among equals the
    lowest class wins, then the lowest (k, l) in row-major order. Similarities are computed in double precision from
    exactly shifted centroids, and count as equal when they agree to ten digits, so ties are those of exact arithmetic
    and do not depend on rounding. The result depends neither on the device nor on the number of threads.

    Args:
        centroids (Centroids, array (C, K, D), or sequence of C arrays (K_c, D)): The centroids by class.
        device (str): "cpu", a torch device such as "cuda", or "auto" for a GPU where there is one.
        n_jobs (int, optional): The number of classes mined at a time on the CPU; None takes every core.
        cache (path-like, optional): A folder for finished classes and the result. A killed call resumes from there.
        show_progress (bool): Show a progress bar on a terminal.

    Raises:
        InputError: There are fewer than two classes, values are NaN or infinite, shapes do not fit together, or the
            device cannot be used.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> analogies = mine_analogies(rng.normal(size=(3, 4, 8)).astype("float32"))
        >>> analogies.quadruples.shape
        (36, 4)
    """
    device = device if device == "cpu" else pick_device(device)  # which imports torch
    centroids = Centroids.of(centroids)
    if centroids.n_classes < 2:
        raise InputError("analogies need at least two classes: one class alone has nothing to be compared with")
    table = PairTable(centroids)
    stored = ArrayCache(cache)
    key = fingerprint(centroids.values, centroids.counts) if stored.folder is not None else ""
    if (found := stored.load(f"analogies-{key}")) is not None:
        return Analogies(**found)

    done = {row: part for row in range(centroids.n_classes) if (part := stored.load(_part(key, row))) is not None}
    todo = [row for row in range(centroids.n_classes) if row not in done]
    with progress("Mining analogies", centroids.n_classes, done=len(done), enabled=show_progress) as tick:
        for row, best in _best_partners(table, todo, device, n_jobs):
            done[row] = _quadruples(table, row, best)
            stored.save(_part(key, row), **done[row])
            tick()
    parts = [done[row] for row in range(centroids.n_classes)]
    analogies = Analogies(*(np.concatenate([part[name] for part in parts]) for name in ("quadruples", "scores")))
    stored.save(f"analogies-{key}", quadruples=analogies.quadruples, scores=analogies.scores)
    for row in range(centroids.n_classes):
        stored.remove(_part(key, row))
    return analogies


def _best_partners(table: PairTable, rows: list[int], device: str, n_jobs: int | None) -> Iterator[tuple[int, Best]]:
    """Pairs of a class's number and its best partners, in the order of ``rows``."""
    kernel = native.load_kernel() if device == "cpu" else None
    if kernel is not None:
        miner: Miner = native.NativeMiner(table, kernel)
    else:
        from lowshot.hallucination.analogies.eager import EagerMiner  # torch is slow to import

        miner = EagerMiner(table, device)

    def best_of(row: int) -> Best:
        with threadpool_limits(1):  # a class a thread; OpenMP's limit is each thread's own, so it is set here
            return miner.best_of(row)

    n_threads = 1 if device != "cpu" else -1 if n_jobs is None else n_jobs
    parallel = Parallel(n_jobs=n_threads, prefer="threads", return_as="generator")
    with threadpool_limits(1), contextlib.closing(parallel(delayed(best_of)(row) for row in rows)) as results:
        yield from zip(rows, results)


def _quadruples(table: PairTable, row: int, best: Best) -> dict[str, np.ndarray]:
    """The analogies of one class from the best partners of its pairs i < j."""
    size = int(table.start[row + 1] - table.start[row])
    i, j = np.triu_indices(size, 1)
    found = best.classes >= 0
    pairs = np.concatenate([np.stack([i, j], 1)[found], np.stack([j, i], 1)[found]])
    partners = np.concatenate([best.partners[found, 0], best.partners[found, 1]])
    scores = np.tile(best.scores[found].astype(np.float32), 2)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    quadruples = np.concatenate([pairs + table.start[row], partners], axis=1)[order]
    return {"quadruples": quadruples, "scores": scores[order]}


def _part(key: str, row: int) -> str:
    return f"analogies-{key}-class-{row:05d}"
