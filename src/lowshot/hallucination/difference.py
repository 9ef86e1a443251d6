"""Within-class difference transfer: the plainest way to use what is known about variation."""

from __future__ import annotations

import numpy as np

from lowshot.errors import InputError
from lowshot.hallucination.base import Generator
from lowshot.hallucination.checks import as_count
from lowshot.hallucination.sampling import draw_pairs
from lowshot.registry import GENERATORS


@GENERATORS.register("difference", "seed + difference of a random pair of base examples of one class")
class DifferenceGenerator(Generator):
    """seed + (x_i - x_j), where x_i and x_j are two different examples of a base class, all drawn uniformly.

    The baseline that analogies must beat: it knows no more of a transformation than one instance of it, and applies it
    to any seed alike, where :class:`~lowshot.hallucination.AnalogyGenerator` learns which changes fit a seed. Results
    may be negative where features are not.

    Args:
        max_per_class: most examples kept of a base class, a random choice; None keeps all (the file grows likewise).
        random_state: seed of that choice.

    Attributes:
        examples_: (M, D) float32, class after class.
        counts_: (C,) int64 how many of them each class has, two at least.
    """

    min_base_classes = 2
    fitted_arrays = ("examples_", "counts_")

    def __init__(self, max_per_class: int | None = 100, random_state: int = 0) -> None:
        self.max_per_class = max_per_class
        self.random_state = random_state

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        most = len(features) if self.max_per_class is None else as_count(self.max_per_class, "max_per_class")
        rng = np.random.default_rng(self.random_state)
        kept = []
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            if len(rows) > most:
                rows = np.sort(rng.choice(rows, most, replace=False))
            if len(rows) > 1:
                kept.append(rows)
        if not kept:
            raise InputError("no base class has two examples (after max_per_class): there is no difference to transfer")
        self.examples_ = features[np.concatenate(kept)]
        self.counts_ = np.array([len(rows) for rows in kept], np.int64)

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        first, second = draw_pairs(self.counts_, len(seeds), rng)
        return seeds + self.examples_[first] - self.examples_[second]
