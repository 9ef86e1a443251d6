"""Within-class difference transfer: the simplest use of how examples of one class differ."""

from __future__ import annotations

import numpy as np

from lowshot.checks import check_count
from lowshot.errors import InputError
from lowshot.estimator_files import LearnedState
from lowshot.hallucination.base import Generator
from lowshot.hallucination.sampling import draw_pairs
from lowshot.registry import GENERATORS


@GENERATORS.register("difference", "seed + difference of a random pair of base examples of one class")
class DifferenceGenerator(Generator):
    """seed + (x_i - x_j), where x_i and x_j are two different examples of a base class, all drawn uniformly.

    The baseline for analogies: it applies a difference that was seen once to any seed alike, where
    :class:`~lowshot.hallucination.AnalogyGenerator` learns how a change acts on this seed. Results may be negative
    where features are not.

    Args:
        max_per_class (int, optional): The most examples of a base class, chosen at random. None takes all; files grow
            with their number.
        random_state (int): The seed of that choice.

    Attributes:
        examples_ (array, (M, D) float32): The examples, class after class.
        counts_ (array, (C,) int64): The number of examples of each class, at least two.
    """

    min_base_classes = 2
    fitted_arrays = ("examples_", "counts_")

    def __init__(self, max_per_class: int | None = 100, random_state: int = 0) -> None:
        self.max_per_class = max_per_class
        self.random_state = random_state

    def _fit(self, features: np.ndarray, labels: np.ndarray, classifier_weight: np.ndarray | None) -> None:
        most = len(features) if self.max_per_class is None else check_count("max_per_class", self.max_per_class)
        rng = np.random.default_rng(self.random_state)
        chosen = []
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            if len(rows) > most:
                rows = np.sort(rng.choice(rows, most, replace=False))
            if len(rows) > 1:
                chosen.append(rows)
        if not chosen:
            raise InputError("no base class has two examples (after max_per_class): there is no difference to transfer")
        self.examples_ = features[np.concatenate(chosen)]
        self.counts_ = np.array([len(rows) for rows in chosen], np.int64)

    def _check_learned(self, learned: LearnedState) -> None:
        learned.counts("counts_", "classes", total=len(learned.array("examples_", "examples", "D")))

    def _hallucinate(self, seeds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        first, second = draw_pairs(self.counts_, len(seeds), rng)
        return seeds + self.examples_[first] - self.examples_[second]
