"""Small low-shot problems for the tests of this folder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lowshot.classifiers.base import LowShotClassifier
from lowshot.registry import CLASSIFIERS

#: Parameters that make any classifier quick on small problems; each gets those that it has.
QUICK = {
    "n_episodes": 3,
    "n_support": 3,
    "n_steps": 150,
    "fine_tune_steps": 2,
    "batch_size": 50,
    "n_projected": 100,
    "precision": "float32",
    "random_state": 0,
}


def build(name: str) -> LowShotClassifier:
    """The classifier registered as ``name``, quick and seeded."""
    known = CLASSIFIERS.parameters(name)
    return CLASSIFIERS.build(name, **{key: value for key, value in QUICK.items() if key in known})


class Problem(NamedTuple):
    """Gaussian classes around random means: base examples, novel shots and queries of both, with their labels."""

    base: tuple[np.ndarray, np.ndarray]
    novel: tuple[np.ndarray, np.ndarray]
    queries: tuple[np.ndarray, np.ndarray]


def problem(
    n_base: int = 5,
    n_novel: int = 3,
    dim: int = 6,
    per_base: int = 20,
    n_shots: int = 2,
    seed: int = 0,
    noise: float = 0.5,
    dtype: type = np.float64,
) -> Problem:
    """A random problem. Base labels are 0, 2, 4, …, novel ones 1, 3, 5, …, so the two groups alternate."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([2 * np.arange(n_base), 2 * np.arange(n_novel) + 1])
    means = rng.normal(size=(len(labels), dim)) + 1

    def draw(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        classes = rng.permutation(np.repeat(rows, n))
        features = means[classes] + noise * rng.normal(size=(len(classes), dim))
        return features.astype(dtype), labels[classes]

    everything = np.arange(len(labels))
    return Problem(draw(everything[:n_base], per_base), draw(everything[n_base:], n_shots), draw(everything, 4))
