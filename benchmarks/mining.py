"""Mining analogies against the plain dense method, how the cost grows, and what ImageNet's 389 classes need.

The dense method does what the definition says: all differences of a class, divided by their norms, times those of
another class, and the maximum of each row. It is float32 torch on the same number of threads, timed on the rows of one
class and multiplied by the number of classes (``--whole-dense`` runs it for all). Its answers in double precision are
compared with the mined quadruples.

Two kinds of centroids: "normal" (after a ReLU), where upper bounds spare most of the work, and "low-rank", spread
unevenly in 20 dimensions like the features of a network, where they spare little.

    python benchmarks/mining.py                          # about two minutes on two cores
    python benchmarks/mining.py --device cuda --imagenet # all 389 classes on a GPU
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from joblib import Parallel, delayed

from lowshot.hallucination import Analogies, Centroids, mine_analogies
from lowshot.hallucination.analogies import native
from lowshot.hallucination.analogies.eager import EagerMiner
from lowshot.hallucination.analogies.pairs import PairTable

IMAGENET_CLASSES = 389


def make_centroids(kind: str, n_classes: int, n_clusters: int, dim: int) -> np.ndarray:
    """(C, K, D) float32."""
    rng = np.random.default_rng(0)
    if kind == "normal":
        centroids = rng.standard_normal((n_classes, n_clusters, dim), dtype=np.float32)
    else:
        basis = rng.standard_normal((20, dim), dtype=np.float32) * np.geomspace(1, 0.1, 20, dtype=np.float32)[:, None]
        spread = np.exp(rng.standard_normal((n_classes, n_clusters, 1), dtype=np.float32) / 2)
        centroids = spread * rng.standard_normal((n_classes, n_clusters, 20), dtype=np.float32) @ basis
        centroids += rng.standard_normal((n_classes, 1, dim), dtype=np.float32)
    return np.maximum(centroids, 0)


def unit_differences(centroids: np.ndarray, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """(P, 2) ordered pairs and (P, D) their differences over norm + 1e-5."""
    pairs = torch.nonzero(~torch.eye(len(centroids), dtype=torch.bool))
    values = torch.from_numpy(centroids).to(dtype)
    difference = values[pairs[:, 0]] - values[pairs[:, 1]]
    return pairs, difference / (difference.norm(dim=1, keepdim=True) + 1e-5)


def dense_row(centroids: np.ndarray, a: int, dtype: torch.dtype = torch.float32) -> np.ndarray:
    """(P, 4) the quadruples of class ``a``."""
    pairs, own = unit_differences(centroids[a], dtype)
    best, partner = torch.zeros(len(own), dtype=dtype), torch.full((len(own), 2), -1)
    for b in range(len(centroids)):
        if b == a:
            continue
        their_pairs, theirs = unit_differences(centroids[b], dtype)
        top, at = (own @ theirs.T).max(dim=1)
        better = top > best
        best[better], partner[better] = top[better], their_pairs[at[better]] + b * centroids.shape[1]
    found = best > 0
    return torch.cat([pairs + a * centroids.shape[1], partner], dim=1)[found].numpy()


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, CPU seconds and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def mined(centroids: np.ndarray, args: argparse.Namespace) -> tuple[float, float, Analogies]:
    """The shorter of two runs: the first may wait for the compiler."""
    runs = [timed(lambda: mine_analogies(centroids, device=args.device, n_jobs=args.threads)) for _ in range(2)]
    return min(runs, key=lambda run: run[0])


def against_dense(kind: str, args: argparse.Namespace) -> None:
    centroids = make_centroids(kind, args.classes, args.clusters, args.dim)
    rows = range(args.classes if args.whole_dense else 1)
    wall, cpu, _ = timed(lambda: [dense_row(centroids, a) for a in rows])
    share = args.classes / len(rows)
    fast_wall, fast_cpu, analogies = mined(centroids, args)
    with patch.object(native, "load_kernel", lambda: None):
        eager_wall, eager_cpu, _ = mined(centroids, args)
    exact = np.concatenate([dense_row(centroids, a, torch.float64) for a in rows])
    same = (analogies.quadruples[: len(exact)] == exact).all(axis=1).sum()
    print(f"\n{kind}: {args.classes} classes x {args.clusters} clusters x {args.dim}")
    print(f"  dense {wall * share:8.2f} s wall {cpu * share:8.2f} s CPU" + ("" if share == 1 else "  (one row scaled)"))
    print(f"  mined {fast_wall:8.3f} s wall {fast_cpu:8.3f} s CPU")
    print(f"  ratio {wall * share / fast_wall:8.0f}        {cpu * share / fast_cpu:8.0f}        (target 100)")
    print(f"  eager {eager_wall:8.3f} s wall {eager_cpu:8.3f} s CPU  (torch alone, as where there is no C compiler)")
    print(f"  {same} of {len(exact)} quadruples of the dense method in double precision are identical")


def growth(kind: str, args: argparse.Namespace) -> None:
    print(f"\n{kind}: CPU ms per pair of classes (both ways), and per million cosines compared")
    sizes = [(n, args.clusters) for n in (2, 4, 8, 16, 32)] + [(8, k) for k in (25, 50, 100, 200)]
    for n_classes, n_clusters in sizes:
        _, cpu, _ = mined(make_centroids(kind, n_classes, n_clusters, args.dim), args)
        pairs = n_classes * (n_classes - 1) / 2
        cosines = pairs * (n_clusters * (n_clusters - 1)) ** 2 * 2 / 1e6
        print(f"  {n_classes:3} x {n_clusters:3}: {cpu * 1e3 / pairs:8.2f} ms   {cpu * 1e3 / cosines:8.4f} ms/M")


def imagenet(kind: str, args: argparse.Namespace) -> None:
    """All tables for 389 classes, and as many rows of them as asked for."""
    centroids = make_centroids(kind, IMAGENET_CLASSES, args.clusters, args.dim)
    print(f"\n{kind}: {IMAGENET_CLASSES} classes x {args.clusters} clusters x {args.dim}")
    if args.imagenet:
        wall, cpu, analogies = timed(lambda: mine_analogies(centroids, device=args.device, n_jobs=args.threads))
        print(f"  {wall:.0f} s wall, {cpu:.0f} s CPU, {len(analogies)} analogies")
    else:
        table = PairTable(Centroids.of(centroids))
        kernel = native.load_kernel() if args.device == "cpu" else None
        miner = EagerMiner(table, args.device) if kernel is None else native.NativeMiner(table, kernel)
        rows = np.linspace(0, IMAGENET_CLASSES - 1, args.rows).astype(int)
        parallel = Parallel(n_jobs=args.threads if kernel else 1, prefer="threads")
        wall, cpu, _ = timed(lambda: parallel(delayed(miner.best_of)(int(row)) for row in rows))
        scale = IMAGENET_CLASSES / len(rows) / 60
        print(f"  {len(rows)} rows: {wall:.1f} s wall, {cpu:.1f} s CPU")
        print(f"  all rows: {wall * scale:.1f} minutes wall, {cpu * scale / args.threads:.1f} if no one else computed")
    print(f"  peak resident memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rows", type=int, default=8, help="rows of the 389-class problem that are timed")
    parser.add_argument("--imagenet", action="store_true", help="mine all rows of it")
    parser.add_argument("--whole-dense", action="store_true", help="time and compare the dense method on all classes")
    parser.add_argument("--parts", nargs="+", default=["imagenet", "dense", "growth"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(
        f"{args.threads} threads, torch {torch.__version__}, {args.device}, kernel {native.load_kernel() is not None}"
    )
    parts = {"imagenet": imagenet, "dense": against_dense, "growth": growth}
    for part in args.parts:  # ImageNet first: peak memory is the process's, and the dense method needs more
        for kind in ("normal", "low-rank"):
            parts[part](kind, args)


if __name__ == "__main__":
    main()
