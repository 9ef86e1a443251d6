"""Eight Gaussian classes as features files, split and experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lowshot.data import ClassSplit, Experiments
from lowshot.features import FeatureStore

DIM = 6


@dataclass
class World:
    """What a benchmark runs on."""

    train: FeatureStore
    test: FeatureStore
    split: ClassSplit
    experiments: Experiments

    @property
    def parts(self) -> tuple[FeatureStore, FeatureStore, ClassSplit, Experiments]:
        return self.train, self.test, self.split, self.experiments


def write_features(
    path: Path, labels: np.ndarray, seed: int, change: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
) -> FeatureStore:
    """Features around class means that do not depend on ``seed``."""
    means = np.random.default_rng(0).normal(size=(8, DIM))
    features = means[labels] + 0.8 * np.random.default_rng(seed).normal(size=(len(labels), DIM))
    if change is not None:
        features = change(features, labels)
    with FeatureStore.create(path, DIM, len(labels)) as out:
        out.append(features, labels, [f"{label}/{row}.png" for row, label in enumerate(labels)])
    return FeatureStore.open(path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    split = ClassSplit([0, 3], [1, 6], [2, 7], [4, 5], [f"class {label}" for label in range(8)])
    train_labels = np.random.default_rng(1).permutation(np.repeat(np.arange(8), 12))
    train = write_features(tmp_path / "features" / "train.h5", train_labels, seed=2)
    test = write_features(tmp_path / "features" / "test.h5", np.tile(np.arange(8), 9), seed=3)
    return World(train, test, split, Experiments.random(train.labels, train.paths, n_experiments=3, max_shots=5))
