"""What is wrong with the shots: labels, duplicates, classes that are confused or too small, and the accuracy to
expect.

A label is doubted when a classifier that has not seen the photo gives another class a higher probability than the
label's by a clear margin (confident learning: Northcutt et al. 2021, arXiv 1911.00068, with leave-one-out in place of
folds). A wrong label also spoils the mean of its class for the others, so the doubted photos are set aside and all
are judged once more by what remains, a few times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lowshot.checks import as_features, as_labels, check_count, check_number
from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.moments import blocks, class_means
from lowshot.classifiers.transforms import unit_rows
from lowshot.recogniser.estimate import accuracy_by_class, expected_accuracy
from lowshot.recogniser.intervals import Share
from lowshot.recogniser.leave_one_out import CLOSED_FORM, LeftOut, leave_one_out

# Cosines of centred features above which two photos show the same thing; measured on photographs that were resized,
# compressed and cropped a little, and on different ones.
SAME_PICTURE = 0.92
FEWEST_SHOTS = 3
_ROUNDS = 3
_BLOCK = 2048


@dataclass(frozen=True)
class DoubtfulLabel:
    """A photo whose label is likely wrong.

    Attributes:
        row (int): The row of the photo.
        label (Any): Its label.
        suggestion (Any): The class that suits it better.
        margin (float): How much more similar it is to that class, a cosine.
    """

    row: int
    label: Any
    suggestion: Any
    margin: float


@dataclass(frozen=True)
class Confusion:
    """Two classes whose photos are taken for each other.

    Attributes:
        label (Any): One of the classes.
        other (Any): The other class.
        count (int): The left-out photos of either that were taken for the other.
        total (int): The left-out photos of both.
    """

    label: Any
    other: Any
    count: int
    total: int


@dataclass(frozen=True)
class Findings:
    """The findings about a set of shots.

    Attributes:
        doubtful (list of DoubtfulLabel): The most doubtful first.
        duplicates (list of list of int): Rows that show the same picture, of one class.
        duplicates_across (list of list of int): Rows that show the same picture under different labels.
        confused (list of Confusion): The classes that are taken for each other twice or more, most often first.
        few (dict): The number of photos of each class that has fewer than three.
        accuracy (Share): The accuracy to expect of new photos, by leave-one-out.
        accuracy_by_class (dict): The same for each class.
        method (str): "leave-one-out", or the number of folds.
    """

    doubtful: Sequence[DoubtfulLabel]
    duplicates: Sequence[list[int]]
    duplicates_across: Sequence[list[int]]
    confused: Sequence[Confusion]
    few: dict[Any, int]
    accuracy: Share
    accuracy_by_class: dict[Any, Share]
    method: str = CLOSED_FORM


def check_shots(
    classifier: LowShotClassifier,
    X: Any,
    y: Any,
    *,
    left_out: LeftOut | None = None,
    same_picture: float = SAME_PICTURE,
    fewest: int = FEWEST_SHOTS,
) -> Findings:
    """Check the shots of a fitted classifier. Duplicates are left out of the estimated accuracy only once removed.

    Args:
        classifier (LowShotClassifier): The classifier, fitted on the shots.
        X (array-like, (M, D)): The shots.
        y (array-like, (M,)): Their labels.
        left_out (LeftOut, optional): Its leave-one-out scores, where they are known already.
        same_picture (float): The cosine from which two photos are one picture, above 0 and at most 1.
        fewest (int): The number of photos that every class should have.
    """
    left_out = leave_one_out(classifier, X, y) if left_out is None else left_out
    X = as_features(X, "shots", classifier.n_features_in_)
    labels, codes = np.unique(as_labels(y, X, "shots"), return_inverse=True)
    counts = np.bincount(codes)
    groups = near_duplicates(X, same_picture)
    one_class = [len(set(codes[group].tolist())) == 1 for group in groups]
    return Findings(
        doubtful_labels(X, y),
        [group for group, same in zip(groups, one_class) if same],
        [group for group, same in zip(groups, one_class) if not same],
        confusions(left_out),
        {labels[c].item(): int(counts[c]) for c in np.flatnonzero(counts < check_count("fewest", fewest))},
        expected_accuracy(classifier, left_out),
        accuracy_by_class(classifier, left_out),
        left_out.method,
    )


def doubtful_labels(X: Any, y: Any, margin: float | None = None) -> list[DoubtfulLabel]:
    """Photos that are more similar to another class than to the others of their own.

    Args:
        X (array-like, (M, D)): The shots.
        y (array-like, (M,)): Their labels.
        margin (float, optional): The least difference of the two cosines; by default 0.7 of the standard deviation
            of the cosines of photos with other classes.

    Returns:
        list of DoubtfulLabel: The most doubtful first. Classes with a single photo are not judged.
    """
    X = as_features(X, "shots")
    labels, codes = np.unique(as_labels(y, X, "shots"), return_inverse=True)
    n_classes = len(labels)
    if n_classes < 2:
        return []
    U = unit_rows(X - class_means(X, codes, n_classes).mean(axis=0).astype(X.dtype))
    doubted = np.zeros(len(X), bool)
    for _ in range(_ROUNDS):
        own, other, suggestion, spread = _compared(U, codes, n_classes, doubted)
        least = 0.7 * spread if margin is None else check_number("margin", margin, least=0)
        gap = other - own
        now = gap > least
        # A class keeps half of its photos, those that suit it best, or it could be doubted away.
        for code in np.unique(codes[now]):
            members = np.flatnonzero(codes == code)
            now[members[np.argsort(gap[members], kind="stable")][: -(-len(members) // 2)]] = False
        if np.array_equal(now, doubted):
            break
        doubted = now
    rows = np.flatnonzero(doubted)
    found = [DoubtfulLabel(int(r), labels[codes[r]].item(), labels[suggestion[r]].item(), float(gap[r])) for r in rows]
    return sorted(found, key=lambda one: (-one.margin, one.row))


def near_duplicates(X: Any, same_picture: float = SAME_PICTURE) -> list[list[int]]:
    """Groups of rows that show the same picture, each chained by cosines of features about their common mean.

    Args:
        X (array-like, (M, D)): The features.
        same_picture (float): The cosine from which two are one picture, above 0 and at most 1.
    """
    X = as_features(X, "shots")
    limit = check_number("same_picture", same_picture, above=0, most=1) - 1e-6  # equal rows have nearly 1
    U = unit_rows(X - X.mean(axis=0)).astype(np.float32)
    pairs = []
    for part in blocks(len(U), _BLOCK):
        close = np.argwhere(U[part] @ U[part.start :].T >= limit) + part.start
        pairs.append(close[close[:, 0] < close[:, 1]])
    left, right = np.concatenate(pairs).T
    graph = sparse.coo_matrix((np.ones(len(left)), (left, right)), shape=(len(U), len(U)))
    groups: dict[int, list[int]] = {}
    _, parts = connected_components(graph, directed=False)
    for row in np.flatnonzero(np.bincount(parts)[parts] > 1).tolist():
        groups.setdefault(int(parts[row]), []).append(row)
    return list(groups.values())


def confusions(left_out: LeftOut, least: int = 2) -> list[Confusion]:
    """Pairs of classes whose left-out photos are taken for each other ``least`` times or more, most often first."""
    known = left_out.of_known()
    totals = np.bincount(known.columns, minlength=len(known.classes))
    wrong = np.stack([known.columns, known.answers], axis=1)[~known.correct]
    pairs, counts = np.unique(np.sort(wrong, axis=1), axis=0, return_counts=True)
    names = known.classes
    found = [
        Confusion(names[a].item(), names[b].item(), int(count), int(totals[a] + totals[b]))
        for (a, b), count in zip(pairs, counts)
        if count >= least
    ]
    return sorted(found, key=lambda pair: -pair.count)


def _compared(
    U: np.ndarray, codes: np.ndarray, n_classes: int, doubted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Cosines of each row with the undoubted others of its class, and with the most similar other class.

    Returns:
        (M,) own cosines, infinite without others; (M,) highest cosines with other classes; (M,) the codes of these; the
        standard deviation of all cosines with other classes.
    """
    kept = ~doubted
    members = sparse.csr_matrix((kept.astype(U.dtype), (codes, np.arange(len(U)))), shape=(n_classes, len(U)))
    sums, counts = members @ U, np.bincount(codes[kept], minlength=n_classes)
    means = unit_rows(sums)
    own, other = np.empty((2, len(U)))
    suggestion = np.empty(len(U), np.int64)
    total, square = 0.0, 0.0
    for part in blocks(len(U), _BLOCK):
        itself = np.arange(len(codes[part])), codes[part]
        cosines = U[part] @ means.T
        rest = counts[codes[part]] - kept[part]
        without = unit_rows(sums[codes[part]] - U[part] * kept[part, None])
        own[part] = np.where(rest > 0, np.einsum("nd,nd->n", U[part], without), np.inf)
        cosines[itself] = 0
        total += float(cosines.sum(dtype=np.float64))
        square += float(np.einsum("nc,nc->", cosines, cosines, dtype=np.float64))
        cosines[itself] = -np.inf
        suggestion[part] = cosines.argmax(axis=1)
        other[part] = cosines.max(axis=1)
    n = len(U) * (n_classes - 1)
    return own, other, suggestion, float(max(square / n - (total / n) ** 2, 0.0) ** 0.5)
