"""Features of eight Gaussian classes, and a low-shot problem on them, for tests of the benchmark and the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore
from lowshot.hallucination import Generator
from lowshot.registry import GENERATORS

N_CLASSES, DIM = 8, 6
LABELS = {
    "train": np.random.default_rng(1).permutation(np.repeat(np.arange(N_CLASSES), 12)),
    "test": np.tile(np.arange(N_CLASSES), 9),
}


@dataclass
class Problem:
    """The arguments that every benchmark has."""

    train: FeatureStore
    test: FeatureStore
    split: ClassSplit
    experiments: Experiments

    @property
    def parts(self) -> tuple[FeatureStore, FeatureStore, ClassSplit, Experiments]:
        return self.train, self.test, self.split, self.experiments


def make_problem(folder: Path) -> Problem:
    """Two base and two novel classes in each setup, and three experiments, with features files in a folder."""
    names = [f"class {label}" for label in range(N_CLASSES)]
    train = write_features(folder / "train.h5", LABELS["train"], seed=2)
    test = write_features(folder / "test.h5", LABELS["test"], seed=3)
    split = ClassSplit([0, 3], [1, 6], [2, 7], [4, 5], names)
    return Problem(train, test, split, Experiments.random(train.labels, train.paths, n_experiments=3, max_shots=5))


def write_features(
    path: Path,
    labels: np.ndarray,
    seed: int,
    change: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    *,
    paths: bool = True,
    class_names: bool = False,
) -> FeatureStore:
    """Write features around class means that do not depend on the seed.

    Args:
        path (Path): The features file.
        labels (N,): The classes of the rows.
        seed (int): The seed of the noise.
        change (callable): Takes features (N, D) and labels and returns the features to write.
        paths (bool): True where the file lists image paths.
        class_names (bool): True where the file lists class names.
    """
    means = np.random.default_rng(0).normal(size=(N_CLASSES, DIM))
    features = means[labels] + 0.8 * np.random.default_rng(seed).normal(size=(len(labels), DIM))
    if change is not None:
        features = change(features, labels)
    names = [f"class {label}" for label in range(N_CLASSES)] if class_names else None
    with FeatureStore.create(path, DIM, len(labels), class_names=names) as out:
        out.append(features, labels, [f"{label}/{row}.png" for row, label in enumerate(labels)] if paths else None)
    return FeatureStore.open(path)


def poison(store: FeatureStore, split: ClassSplit, path: Path) -> FeatureStore:
    """Copy a features file with noise and exchanged labels in the test half of a split."""
    rows = store.rows_of(np.union1d(split.base_2, split.novel_2))
    rng = np.random.default_rng(99)
    labels, features = store.labels.copy(), store.rows(np.arange(len(store)))
    labels[rows] = rng.permutation(labels[rows])
    features[rows] = 100 * rng.normal(size=(len(rows), store.dim))
    with FeatureStore.create(path, store.dim, len(labels), class_names=store.class_names) as out:
        out.append(features, labels, store.paths)
    return FeatureStore.open(path)


def fitted_difference(problem: Problem) -> Generator:
    """A generator fitted on all base classes, as the protocol has it."""
    rows = problem.train.rows_of(problem.split.base)
    found: Generator = GENERATORS.build("difference").fit(problem.train.rows(rows), problem.train.labels[rows])
    return found


def without_times(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records without the entries that differ from run to run."""
    times = {"seconds", "base_seconds", "time"}
    return [{key: value for key, value in record.items() if key not in times} for record in records]
