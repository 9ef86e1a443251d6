"""The answer "unknown": a photo that is like no class.

A photo is unknown when its highest cosine to the class means, of unit features without a centre, lies below a
threshold that 95 % of known photos pass. Known photos are shots, each compared with the mean of the others of its
class; that mean is of one shot less, so its cosine is first raised by what one more shot gives
(:mod:`~lowshot.recogniser.estimate`). Photos of unknown classes are shots too, each compared with the other classes
alone: how many of them pass is what the threshold costs.

With one shot a class, nothing says how like two photos of one class are. Then the threshold is so many standard
deviations of the cosines of different classes above their mean as measured once on photographs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lowshot.checks import as_features, as_labels, check_number
from lowshot.classifiers.moments import class_means
from lowshot.classifiers.transforms import unit_rows
from lowshot.recogniser.estimate import growth
from lowshot.recogniser.intervals import Share
from lowshot.recogniser.leave_one_out import FEWEST_ROWS, MOST_ROWS, MOST_SCORES, evenly_chosen
from lowshot.recogniser.unknown_scores import highest_cosine

KEEP = 0.95
# Standard deviations of the cosines of shots of different classes, above their mean, at which 95 % of photos of classes
# of one shot remain.
DEVIATIONS_AT_ONE_SHOT = 1.9
# A single class of a few photos shows no spread at all. Then the threshold is about the one that recognisers of several
# classes of photographs choose with efficientnet_lite0.
THRESHOLD_OF_ONE_CLASS = 0.4
# From fewer left-out shots no 5 % quantile can be taken.
_FEWEST_KNOWN = 5


@dataclass(frozen=True)
class Unknown:
    """A threshold for the answer "unknown".

    Attributes:
        means (array, (C, D) float32): The class means of unit features.
        threshold (float): The cosine below which a photo is unknown.
        kept (Share): The left-out shots that pass the threshold, of classes with others.
        passed (Share): The shots that pass it although their own class is left out, as photos of an unknown class.
        method (str): "leave-one-out", "one shot a class" or "given".
    """

    means: np.ndarray
    threshold: float
    kept: Share
    passed: Share
    method: str

    def scores(self, X: Any) -> np.ndarray:
        """(N,) highest cosines of (N, D) features to the class means."""
        return highest_cosine(as_features(X, "features", self.means.shape[1]), self.means)

    def is_unknown(self, X: Any) -> np.ndarray:
        """(N,) bool, true below the threshold."""
        return np.asarray(self.scores(X) < self.threshold)


@dataclass(frozen=True)
class _Cosines:
    """Cosines of left-out shots: to the classes as known photos, and to the other classes as unknown ones.

    Attributes:
        own (array, (K,)): The highest cosine of each shot whose class has others.
        others (array, (R,)): The highest cosine of each shot to another class; minus infinity of a single class.
        spread (tuple of float): The mean and the standard deviation of the cosines to other classes.
    """

    own: np.ndarray
    others: np.ndarray
    spread: tuple[float, float]


def fit_unknown(
    X: Any, y: Any, keep: float = KEEP, *, threshold: float | None = None, base_means: np.ndarray | None = None
) -> Unknown:
    """The threshold that keeps a share of known photos.

    Args:
        X (array-like, (M, D)): The shots.
        y (array-like, (M,)): Their labels.
        keep (float): The share of known photos to keep, above 0 and below 1.
        threshold (float, optional): A threshold in place of the chosen one, from -1 to 1; its rates are computed.
        base_means (array, (B, D), optional): The means of unit features of base classes, which are known too.

    Raises:
        InputError: Damaged shots, or a number out of its range.
    """
    X = as_features(X, "shots")
    labels, codes = np.unique(as_labels(y, X, "shots"), return_inverse=True)
    keep = check_number("keep", keep, above=0, below=1)
    means = class_means(X, codes, len(labels), unit_rows)
    if base_means is not None:
        codes = codes + len(base_means)
        means = np.vstack([as_features(base_means, "base_means", X.shape[1]), means])
    found = _cosines(X, codes, means)
    method = "leave-one-out" if len(found.own) >= _FEWEST_KNOWN else "one shot a class"
    if threshold is not None:
        method, threshold = "given", check_number("threshold", threshold, least=-1, most=1)
    elif method == "leave-one-out":
        threshold = float(np.quantile(found.own, 1 - keep))
    else:
        mean, deviation = found.spread
        several = np.isfinite(found.others).any()
        threshold = mean + DEVIATIONS_AT_ONE_SHOT * deviation if several else THRESHOLD_OF_ONE_CLASS
    threshold = min(max(threshold, -1.0), 1.0)  # estimates and rounding can lead beyond any cosine
    rule = Unknown(means.astype(np.float32), threshold, Share(0, 0), Share(0, 0), method)
    kept = Share(int((found.own >= threshold).sum()), len(found.own))
    others = found.others[np.isfinite(found.others)]
    return replace(rule, kept=kept, passed=Share(int((others >= threshold).sum()), len(others)))


def _cosines(X: np.ndarray, codes: np.ndarray, means: np.ndarray) -> _Cosines:
    rows = evenly_chosen(X, min(MOST_ROWS, max(FEWEST_ROWS, MOST_SCORES // len(means))))
    counts = np.bincount(codes)[codes[rows]]
    shots, own_means = unit_rows(X[rows]), means[codes[rows]]
    left = (counts[:, None] * own_means - shots) / np.maximum(counts - 1, 1)[:, None]
    known = counts > 1
    own = np.einsum("nd,nd->n", shots[known], unit_rows(left[known]))
    own = own * growth(own, counts[known]) if len(own) else own
    cosines = shots @ unit_rows(means).T.astype(shots.dtype)
    itself = np.arange(len(rows)), codes[rows]
    # Cosines to other classes; their own column is left out of the maximum and of the moments.
    cosines[itself] = 0
    n = max(cosines.size - len(rows), 1)
    mean = float(cosines.sum(dtype=np.float64)) / n
    variance = max(float(np.einsum("nc,nc->", cosines, cosines, dtype=np.float64)) / n - mean**2, 0.0)
    cosines[itself] = -np.inf
    others = cosines.max(axis=1)
    return _Cosines(np.maximum(own, others[known]), others, (mean, variance**0.5))
