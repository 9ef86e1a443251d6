"""What a recogniser computes with: the classifier of its present state, fitted on its shots.

Shots enter in an order of their own (class, then content), so that a recogniser depends on what it was taught and not
on when.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import softmax

from lowshot.classifiers import LowShotClassifier
from lowshot.classifiers.moments import class_means
from lowshot.classifiers.transforms import unit_rows
from lowshot.recogniser.shots import Shots
from lowshot.recogniser.state import State
from lowshot.recogniser.unknown_scores import highest_cosine
from lowshot.registry import CLASSIFIERS


@dataclass(frozen=True)
class Examples:
    """The live shots of a state, sorted.

    Attributes:
        rows (array, (N,) int64): Their rows.
        features (array, (N, D) float32): Their features.
        labels (array, (N,) int64): The classifier's labels, which lie behind those of the B base classes: B + the index
            of a taught class among those sorted by name.
        names (list of N str): ``CLASS/FILE`` of each.
        digests (list of N str): The SHA-256 of each.
    """

    rows: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    names: list[str]
    digests: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Taught class → its number of photos."""
        return dict(Counter(name.split("/", 1)[0] for name in self.names))


def live_examples(state: State, shots: Shots) -> Examples:
    """Sort the live shots of a state by class name and content.

    Args:
        state (State): The state.
        shots (Shots): All of its rows.
    """
    live = np.ones(len(shots), bool)
    live[state.removed] = False
    first = 0 if state.base is None else len(state.base.names)
    index_of = {one.id: first + i for i, one in enumerate(state.classes)}
    rows = [row for row in np.flatnonzero(live).tolist() if int(shots.labels[row]) in index_of]
    keys = {row: (index_of[int(shots.labels[row])], shots.digests[row], row) for row in rows}
    rows.sort(key=keys.__getitem__)
    labels = np.array([keys[row][0] for row in rows], np.int64)
    names = [f"{state.classes[label - first].name}/{shots.names[row]}" for label, row in zip(labels.tolist(), rows)]
    chosen = np.array(rows, np.int64)
    return Examples(chosen, shots.features[chosen], labels, names, [shots.digests[row] for row in rows])


class Model:
    """A fitted classifier with the names of its classes, and the shots that answers refer to.

    A base class that was taught further photos has two columns in the classifier; its score is the larger.

    Args:
        state (State): The state.
        examples (Examples): Its live shots.
        classifier (LowShotClassifier): The classifier, fitted on them.

    Attributes:
        classes (list of C str): The names of the answers: base classes first, then taught ones by name.
        columns (array, int64): The column among ``classes`` of each column of the classifier; -1 for a removed class.
    """

    def __init__(self, state: State, examples: Examples, classifier: LowShotClassifier) -> None:
        self.state = state
        self.examples = examples
        self.classifier = classifier
        base = [] if state.base is None else state.base.names
        removed = set() if state.base is None else set(state.base.removed)
        self.classes = [name for i, name in enumerate(base) if i not in removed]
        taught = [state.classes[label - len(base)].name for label in np.unique(examples.labels).tolist()]
        known = set(self.classes)
        self.classes += [name for name in taught if name not in known]
        column = {name: i for i, name in enumerate(self.classes)}
        self._n_base = len(base)
        self.columns = np.array(
            [-1 if i in removed else column[name] for i, name in enumerate(base)] + [column[name] for name in taught]
        )

    @cached_property
    def _unit(self) -> np.ndarray:
        return unit_rows(self.examples.features)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Scores over ``classes``.

        Args:
            features (array, (N, D) float32): The features.

        Returns:
            (N, C) float, higher for likelier classes.
        """
        found = self.classifier.scores(features)
        used = self.columns >= 0
        if used.all() and len(self.columns) == len(self.classes):
            return found
        joined = np.full((len(found), len(self.classes)), -np.inf, found.dtype)
        for column, own in zip(self.columns[used].tolist(), found[:, used].T):
            np.maximum(joined[:, column], own, out=joined[:, column])
        return joined

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """The probabilities (N, C) float64 of ``classes`` for features (N, D); each row sums to one."""
        return softmax(self.scores(features).astype(np.float64) / self.state.temperature, axis=1)

    def similarity(self, features: np.ndarray) -> np.ndarray:
        """(N,) the highest cosine of features (N, D) to the mean of a taught class; -1 where none was taught."""
        if not len(self.examples.labels):
            return np.full(len(features), -1.0)
        return highest_cosine(features, self.means)

    @property
    def is_taught(self) -> np.ndarray:
        """(C,) bool: True for the classes that were taught, base classes among them."""
        return np.isin(np.arange(len(self.classes)), self.columns[self._n_base :])

    def unknown(self, features: np.ndarray, answers: np.ndarray) -> np.ndarray:
        """Tell which photos are unlike all classes.

        An answer that is a base class counts as known: what photos of it look like was learned elsewhere.

        Args:
            features (array, (N, D) float32): The features.
            answers (array, (N,) int): The columns of the likeliest classes.

        Returns:
            (N,) bool.
        """
        return self.is_taught[answers] & (self.similarity(features) < self.state.unknown_at)

    @cached_property
    def means(self) -> np.ndarray:
        """The means (T, D) float32 of the unit features of each taught class."""
        labels, codes = np.unique(self.examples.labels, return_inverse=True)
        return class_means(self.examples.features, codes, len(labels), unit_rows).astype(np.float32)

    def nearest(self, features: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The most similar shots.

        Args:
            features (array, (N, D) float32): The features.
            k (int): The number of shots.

        Returns:
            (N, k) indices into ``examples`` and (N, k) cosines, the most similar first.
        """
        cosines = unit_rows(features) @ self._unit.T
        k = min(k, cosines.shape[1])
        best = np.argpartition(-cosines, k - 1, axis=1)[:, :k] if k else np.zeros((len(features), 0), np.int64)
        order = np.argsort(-np.take_along_axis(cosines, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        return best, np.take_along_axis(cosines, best, axis=1)


def with_seed(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a registered classifier with a seed, where it draws random numbers: equal shots, equal answers."""
    seed = {"random_state": 0} if "random_state" in CLASSIFIERS.parameters(name) else {}
    return {**seed, **params}


def fitted(classifier: LowShotClassifier, examples: Examples, base: LowShotClassifier | None) -> LowShotClassifier:
    """Fit a classifier on shots.

    Args:
        classifier (LowShotClassifier): The unfitted classifier; not used with ``base``.
        examples (Examples): The shots.
        base (LowShotClassifier, optional): The classifier that has learned the base classes.
    """
    if base is None:
        return classifier.fit(examples.features, examples.labels)
    known = copy.copy(base)
    return known.fit_novel(examples.features, examples.labels) if len(examples.labels) else known


def top_two(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns (N,) int64 of the two largest of (N, C) numbers in each row; the second is -1 where C is 1."""
    rows = np.arange(len(probabilities))
    first = probabilities.argmax(axis=1)
    if probabilities.shape[1] == 1:
        return first, np.full(len(rows), -1)
    others = probabilities.copy()
    others[rows, first] = -np.inf
    return first, others.argmax(axis=1)
