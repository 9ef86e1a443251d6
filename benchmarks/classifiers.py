"""Classifiers over a whole table at ImageNet scale: time and peak memory.

A table is 25 runs: 5 shot counts of 5 experiments. Base classes are fitted once and every run adds its novel classes
and scores all queries. The plain baseline fits everything anew for a run; it is measured on one run and multiplied.

    python benchmarks/classifiers.py                 # 196 x 1300 base, 311 novel, 512-d, 25 000 queries
    python benchmarks/classifiers.py --scale 0.1     # a tenth of the classes and queries
    python benchmarks/classifiers.py gaussian_kernel # one of them

Each classifier has a process of its own, so that the peak memory is its own; it includes the features.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import resource
import time
import warnings

import numpy as np

from lowshot.registry import CLASSIFIERS

SHOTS = (1, 2, 5, 10, 20)
EXPERIMENTS = 5
PER_BASE, DIM = 1300, 512
DEFAULT = ["nearest_mean", "ridge", "gaussian", "teen", "ranpac", "gaussian_text"]


def synthetic(rng: np.random.Generator, means: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, D) float32: class means plus noise, cut off at zero as after a ReLU."""
    features = rng.standard_normal((len(labels), means.shape[1]), dtype=np.float32)
    features += means[labels]
    return np.maximum(features, 0, out=features)


def measure(name: str, scale: float) -> tuple[float, ...]:
    """Seconds of fit_base, of the 25 runs, processor seconds of both, seconds of one plain run; peak GiB."""
    warnings.filterwarnings("ignore", message="The number of unique classes")  # single shots
    rng = np.random.default_rng(0)
    n_base, n_novel, n_queries = (max(2, round(n * scale)) for n in (196, 311, 25_000))
    means = rng.standard_normal((n_base + n_novel, DIM), dtype=np.float32) / 2
    base_labels = np.repeat(np.arange(n_base), PER_BASE)
    base = synthetic(rng, means, base_labels)
    pool_labels = np.repeat(np.arange(n_base, n_base + n_novel), max(SHOTS))
    pool = synthetic(rng, means, pool_labels)
    queries = synthetic(rng, means, rng.integers(n_base + n_novel, size=n_queries))
    before = peak()

    start, processor = time.perf_counter(), time.process_time()
    known = CLASSIFIERS.build(name).fit_base(base, base_labels)
    fitted = time.perf_counter()
    for n_shots in SHOTS:
        for _ in range(EXPERIMENTS):
            rows = np.arange(len(pool)).reshape(n_novel, -1)
            rows = rng.permuted(rows, axis=1)[:, :n_shots].ravel()
            copy.copy(known).fit_novel(pool[rows], pool_labels[rows]).scores(queries)
    done, processor = time.perf_counter(), time.process_time() - processor
    memory = peak()
    plain = CLASSIFIERS.build(name).fit_base(base, base_labels)
    plain.fit_novel(pool[rows], pool_labels[rows]).scores(queries)
    return fitted - start, done - fitted, processor, time.perf_counter() - done, before, memory


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=DEFAULT)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    print(
        f"{'classifier':16}{'fit_base s':>11}{'25 runs s':>11}{'table s':>9}{'cpu s':>8}"
        f"{'plain s':>9}{'ratio':>8}{'peak GiB':>10}"
    )
    for name in options.names:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            base, runs, cpu, plain, before, memory = pool.apply(measure, (name, options.scale))
        plain *= len(SHOTS) * EXPERIMENTS
        times = f"{base:11.1f}{runs:11.1f}{base + runs:9.1f}{cpu:8.1f}{plain:9.1f}{plain / (base + runs):7.1f}x"
        print(f"{name:16}{times}{memory:10.2f}  (of which data {before:.2f})")


if __name__ == "__main__":
    main()
