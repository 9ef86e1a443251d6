"""Leave-one-out scores: each shot, scored by a classifier that has learned all the others.

They are what a recogniser knows about itself without a single photo put aside: which classifier suits its classes,
how far its scores can be believed, below which score an answer is none. With n shots a class they judge a classifier
of n - 1, so they are a little pessimistic, most of all at two.

``nearest_mean``, ``gaussian`` and ``ridge`` give them in closed form (Hastie et al. 2009, section 7.10, for the
linear ones). Others are fitted on all shots but a part that has at most one of each class, n times, at most ten
times.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from lowshot.checks import as_features, as_labels
from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import InputError

MOST_ROWS = 2000
# Scores of R shots for C classes: at 10 000 classes their softmax, not the algebra, is what takes time.
MOST_SCORES = 1_000_000
FEWEST_ROWS = 100
MOST_FOLDS = 10

CLOSED_FORM = "leave-one-out"


@dataclass(frozen=True)
class LeftOut:
    """Scores of shots by classifiers that have not seen them.

    Attributes:
        classes (array, (C,)): The labels of the columns, in the order of the classifier's ``classes_``.
        rows (array, (R,) int): The shots that were left out, ascending.
        columns (array, (R,) int): The columns of their own classes.
        scores (array, (R, C)): The scores, with any calibration bias. The own column of a class without another shot
            is minus infinity.
        counts (array, (R,) int): The number of shots of the own class, the left-out one included.
        method (str): "leave-one-out", or "5-fold" and the like.
    """

    classes: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    scores: np.ndarray
    counts: np.ndarray
    method: str

    @property
    def known(self) -> np.ndarray:
        """(R,) bool, false for the only shot of a class: the classifier that scores it does not know that class."""
        return np.asarray(self.counts > 1)

    @property
    def own_scores(self) -> np.ndarray:
        """(R,) scores of the own classes."""
        return np.asarray(self.scores[np.arange(len(self.rows)), self.columns])

    @property
    def answers(self) -> np.ndarray:
        """(R,) columns of the highest scores, among equal ones the first."""
        return np.asarray(self.scores.argmax(axis=1))

    @property
    def correct(self) -> np.ndarray:
        """(R,) bool, true where the own class scores highest."""
        return np.asarray(self.answers == self.columns)

    def of_known(self) -> LeftOut:
        """The shots whose class has others."""
        return self.at(self.known)

    def at(self, places: np.ndarray) -> LeftOut:
        """Some of the shots, by their (K,) int places or an (R,) bool mask."""
        parts = {name: getattr(self, name)[places] for name in ("rows", "columns", "scores", "counts")}
        return replace(self, **parts)


def leave_one_out(classifier: LowShotClassifier, X: Any, y: Any, *, most_rows: int = MOST_ROWS) -> LeftOut:
    """Score every shot by a classifier that has learned all the others.

    Args:
        classifier (LowShotClassifier): A classifier fitted on these shots, by ``fit`` or, after ``fit_base``, by
            ``fit_novel``. The centre that ``gaussian`` transforms features by, and ``nearest_mean`` of more than a
            thousand shots, stays that of all shots.
        X (array-like, (M, D)): The shots, finite.
        y (array-like, (M,)): Their labels, novel classes of the classifier.
        most_rows (int): The most shots that are left out, so that the cost is bounded; fewer where there are
            thousands of classes. Which ones does not depend on the order of the rows.

    Raises:
        InputError: The shots are not those of the novel classes of the classifier.
    """
    X, columns = checked_shots(classifier, X, y)
    codes = columns - classifier.n_base_classes_
    n_classes = len(classifier.classes_)
    rows = evenly_chosen(X, min(most_rows, max(FEWEST_ROWS, MOST_SCORES // n_classes)))
    scores, method = classifier._left_out_scores(X, codes, rows), CLOSED_FORM
    if scores is None:
        scores, method = _by_folds(classifier, X, codes, rows)
    scores = np.array(scores, dtype=np.result_type(scores.dtype, np.float32))
    scores[:, classifier.n_base_classes_ :] += getattr(classifier, "novel_bias_", 0.0)
    counts = np.bincount(codes)[codes[rows]]
    only = np.flatnonzero(counts == 1)
    scores[only, columns[rows[only]]] = -np.inf
    return LeftOut(classifier.classes_, rows, columns[rows], scores, counts, method)


def checked_shots(classifier: LowShotClassifier, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checked shots (M, D) of every novel class of a fitted classifier, and their columns (M,) int64.

    Raises:
        InputError: The features or labels are damaged, or the labels are not the novel classes.
    """
    check_is_fitted(classifier, "classes_")
    X = as_features(X, "shots", classifier.n_features_in_)
    y = as_labels(y, X, "shots")
    novel = classifier.classes_[classifier.n_base_classes_ :]
    if (y.dtype.kind in "biuf") != (novel.dtype.kind in "biuf") or not np.array_equal(np.unique(y), novel):
        raise InputError(
            f"the labels of the shots are not the {len(novel)} novel classes that the {type(classifier).__name__} "
            "learned: give the shots that it was fitted on"
        )
    return X, classifier.n_base_classes_ + np.searchsorted(novel, y)


def evenly_chosen(X: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` int64 row numbers of (N, D) features, ascending: all, or those with the lowest digests."""
    if len(X) <= most:
        return np.arange(len(X))
    return np.sort(np.argsort(content_digests(X), kind="stable")[:most])


def content_digests(X: np.ndarray) -> np.ndarray:
    """(N,) uint64 digests of the rows, from 256 numbers of each: in any order of rows, on any machine the same."""
    words = np.ascontiguousarray(X[:, :: -(-X.shape[1] // 256)], dtype="<f4").view("<u4")
    factors = 2 * np.random.default_rng(0).integers(2**63, size=words.shape[1], dtype=np.uint64) + np.uint64(1)
    sums = words.astype(np.uint64) @ factors  # modulo 2^64, as all sums of it
    return np.asarray((sums ^ (sums >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15))


def numbered_in_class(X: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(N,) numbers of the rows within their class, from 0, in the order of their digests."""
    order = np.lexsort((content_digests(X), codes))
    starts = np.repeat(np.searchsorted(codes[order], np.unique(codes)), np.unique(codes, return_counts=True)[1])
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = np.arange(len(codes)) - starts
    return numbers


def refitted(classifier: LowShotClassifier, X: np.ndarray, y: np.ndarray) -> LowShotClassifier:
    """A classifier that has learned other shots of novel classes, and the same base classes, if any.

    Args:
        classifier (LowShotClassifier): The fitted classifier, which does not change.
        X (array, (M, D)): The shots.
        y (array, (M,)): Their labels.
    """
    if not classifier.n_base_classes_:
        return clone(classifier).fit(X, y)
    copied = copy.copy(classifier)
    copied._fit_novel(X, copied._add_novel(y))
    return copied


def _by_folds(
    classifier: LowShotClassifier, X: np.ndarray, codes: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, str]:
    """(R, C) scores of shots by classifiers that were fitted without them, and the number of folds in words."""
    n_folds = min(MOST_FOLDS, max(2, int(np.bincount(codes).max())))
    folds = numbered_in_class(X, codes) % n_folds
    counts = np.bincount(codes)
    n_base = classifier.n_base_classes_
    labels = classifier.classes_[n_base + codes]
    scores = np.full((len(rows), len(classifier.classes_)), -np.inf)
    for places, left in _parts(folds, counts[codes] == 1, rows, n_folds):
        kept = np.setdiff1d(np.arange(len(X)), left)
        if not len(kept):
            continue
        fitted = refitted(classifier, X[kept], labels[kept])
        found = fitted._scores(X[rows[places]])
        novel = n_base + np.unique(codes[kept])
        scores[places[:, None], np.concatenate([np.arange(n_base), novel])] = found
    return scores, f"{n_folds}-fold"


def _parts(
    folds: np.ndarray, single: np.ndarray, rows: np.ndarray, n_folds: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The places in ``rows`` of each part of the shots, and all shots of the part."""
    for fold in range(n_folds):
        left = np.flatnonzero((folds == fold) & ~single)
        if len(places := np.flatnonzero(np.isin(rows, left))):
            yield places, left
    # Classes of one shot leave with it: in a part of their own, half at a time, so that some class remains.
    for half in np.array_split(np.flatnonzero(single), 2):
        if len(places := np.flatnonzero(np.isin(rows, half))):
            yield places, half
