"""Classifiers over a whole table at ImageNet scale: time and peak memory.

A table is 25 runs: 5 shot counts of 5 experiments. Base classes are fitted once and every run adds its novel classes
and scores all queries. The plain baseline fits everything anew for a run; it is measured on one run and multiplied.

    python benchmarks/classifiers.py                 # 196 x 1300 base, 311 novel, 512-d, 25 000 queries
    python benchmarks/classifiers.py --scale 0.1     # a tenth of the classes and queries
    python benchmarks/classifiers.py gaussian_kernel # one of them
    python benchmarks/classifiers.py --scale 0.1 learned   # those that are trained on episodes

A classifier that is trained on episodes is first trained on a few, whose time is a column of its own; the table and
the plain baseline get its network, as in a recipe. The plain way of training is the same steps on episodes that are
drawn class by class with ``np.where``.

Ratios are of processor seconds, which other programs on the machine hardly change. Each classifier has a process of its
own, so that the peak memory is its own; it includes the features.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import resource
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from lowshot.classifiers import save_classifier
from lowshot.classifiers.episodic import EpisodicClassifier
from lowshot.classifiers.training_episodes import Episode, EpisodeSampler
from lowshot.registry import CLASSIFIERS

SHOTS = (1, 2, 5, 10, 20)
EXPERIMENTS = 5
PER_BASE, DIM = 1300, 512
DEFAULT = ["nearest_mean", "ridge", "gaussian", "teen", "ranpac", "gaussian_text"]
# Names that stand for a classifier with other parameters than its own.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "prototype_matching without hallucinator": ("prototype_matching", {"n_augmented": 0}),
}
LEARNED = [
    "weight_generator",
    "wdae_gnn",
    "prototypical",
    "prototypical_hallucination",
    "prototype_matching without hallucinator",
    "prototype_matching",
]


def synthetic(rng: np.random.Generator, means: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, D) float32: class means plus noise, cut off at zero as after a ReLU."""
    features = rng.standard_normal((len(labels), means.shape[1]), dtype=np.float32)
    features += means[labels]
    return np.maximum(features, 0, out=features)


class PlainSampler(EpisodeSampler):
    """Draws an episode the obvious way: the rows of each class are looked up in all labels."""

    def __init__(self, codes: np.ndarray, **options: Any) -> None:
        super().__init__(codes, **options)
        self.codes = codes

    def draw(self, number: int, alike: int | None = None) -> Episode:
        rng, classes, counts = self._classes_and_shots(number)
        support, queries = [], []
        for code, count in zip(classes, counts):
            rows = rng.choice(np.where(self.codes == code)[0], count + self._n_queries, replace=False)
            support.append(rows[:count])
            queries.append(rows[count:])
        targets = np.repeat(np.arange(len(classes)), self._n_queries)
        return Episode(np.concatenate(support), counts, np.concatenate(queries), targets)


def training(name: str, X: np.ndarray, y: np.ndarray, n_episodes: int, folder: Path) -> tuple[Path, float, float]:
    """The file of a network that was trained on episodes, and processor seconds of an episode, ours and plain."""
    name, params = VARIANTS.get(name, (name, {}))
    train, spent = EpisodicClassifier._train, [0.0]

    def timed(self: EpisodicClassifier, *args: Any) -> None:
        start = time.process_time()
        train(self, *args)
        spent.append((time.process_time() - start) / self.n_episodes)

    with mock.patch.object(EpisodicClassifier, "_train", timed):
        fitted = CLASSIFIERS.build(name, **params, n_episodes=n_episodes).fit_base(X, y)  # warms up
        for sampler in (EpisodeSampler, PlainSampler):
            with mock.patch("lowshot.classifiers.episodic.EpisodeSampler", sampler):
                CLASSIFIERS.build(name, **params, n_episodes=n_episodes).fit_base(X, y)
    path = folder / "trained.safetensors"
    save_classifier(fitted, path)
    return path, *spent[-2:]


def measure(name: str, scale: float, n_episodes: int) -> tuple[float, ...]:
    """Seconds of fit_base and of the 25 runs; processor seconds of both, of a plain run, of an episode; peak GiB."""
    warnings.filterwarnings("ignore", message="The number of unique classes")  # single shots
    rng = np.random.default_rng(0)
    n_base, n_novel, n_queries = (max(2, round(n * scale)) for n in (196, 311, 25_000))
    means = rng.standard_normal((n_base + n_novel, DIM), dtype=np.float32) / 2
    base_labels = np.repeat(np.arange(n_base), PER_BASE)
    base = synthetic(rng, means, base_labels)
    pool_labels = np.repeat(np.arange(n_base, n_base + n_novel), max(SHOTS))
    pool = synthetic(rng, means, pool_labels)
    queries = synthetic(rng, means, rng.integers(n_base + n_novel, size=n_queries))
    before, episode, plain_episode = peak(), float("nan"), float("nan")
    with tempfile.TemporaryDirectory() as folder:
        registered, params = VARIANTS.get(name, (name, {}))
        if CLASSIFIERS.get(registered).trained_on_episodes:
            path, episode, plain_episode = training(name, base, base_labels, n_episodes, Path(folder))
            params = {**params, "pretrained": path}

        start, processor = time.perf_counter(), time.process_time()
        known = CLASSIFIERS.build(registered, **params).fit_base(base, base_labels)
        fitted = time.perf_counter()
        for n_shots in SHOTS:
            for _ in range(EXPERIMENTS):
                rows = np.arange(len(pool)).reshape(n_novel, -1)
                rows = rng.permuted(rows, axis=1)[:, :n_shots].ravel()
                copy.copy(known).fit_novel(pool[rows], pool_labels[rows]).scores(queries)
        done, processor = time.perf_counter(), time.process_time() - processor
        memory, plain = peak(), time.process_time()
        again = CLASSIFIERS.build(registered, **params).fit_base(base, base_labels)
        again.fit_novel(pool[rows], pool_labels[rows]).scores(queries)
        plain = time.process_time() - plain
    return fitted - start, done - fitted, processor, plain, episode, plain_episode, before, memory


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=DEFAULT, help="classifiers, or `learned` for those with episodes")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--episodes", type=int, default=5, help="training episodes that are timed")
    options = parser.parse_args()
    names = [name for given in options.names for name in (LEARNED if given == "learned" else [given])]
    print(
        f"{'classifier':40}{'fit_base s':>11}{'25 runs s':>11}{'table s':>9}{'cpu s':>8}{'plain cpu s':>12}"
        f"{'ratio':>8}{'peak GiB':>10}"
    )
    for name in names:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            measured = pool.apply(measure, (name, options.scale, options.episodes))
        base, runs, cpu, plain, episode, plain_episode, before, memory = measured
        plain *= len(SHOTS) * EXPERIMENTS
        times = f"{base:11.1f}{runs:11.1f}{base + runs:9.1f}{cpu:8.1f}{plain:12.1f}{plain / cpu:7.1f}x"
        print(f"{name:40}{times}{memory:10.2f}  (of which data {before:.2f})", flush=True)
        if episode == episode:
            ratio = plain_episode / episode
            print(f"  an episode of training: {1e3 * episode:.0f} ms, plain {1e3 * plain_episode:.0f} ms, {ratio:.2f}x")


if __name__ == "__main__":
    main()
