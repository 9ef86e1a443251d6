"""The accuracy to expect of new photos, from the shots alone.

Leave-one-out compares a shot with the mean of n - 1 others of its class but with means of n of every other class. At
two or three shots that costs many points. A cosine to a mean of n shots is larger by a factor that follows from the
mean cosine rho of two shots of a class, whose means of k have the cosine rho / sqrt(rho + (1 - rho) / k) with a
further shot. So for ``nearest_mean`` by cosine the own scores are raised by that factor before they are compared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import brentq

from lowshot.classifiers.base import LowShotClassifier
from lowshot.classifiers.nearest_mean import NearestMean
from lowshot.recogniser.intervals import Share
from lowshot.recogniser.leave_one_out import LeftOut

_LEAST_COSINE = 0.01


def expected_accuracy(classifier: LowShotClassifier, left_out: LeftOut) -> Share:
    """The share of left-out shots, of classes with others, that the classifier is expected to answer right.

    Args:
        classifier (LowShotClassifier): The classifier.
        left_out (LeftOut): Its leave-one-out scores.
    """
    correct = as_with_all_shots(classifier, left_out).of_known().correct
    return Share(int(correct.sum()), len(correct))


def accuracy_by_class(classifier: LowShotClassifier, left_out: LeftOut) -> dict[Any, Share]:
    """:func:`expected_accuracy` for every class with a left-out shot, in the order of the columns."""
    known = as_with_all_shots(classifier, left_out).of_known()
    size = len(known.classes)
    shots, right = (np.bincount(c, minlength=size) for c in (known.columns, known.columns[known.correct]))
    return {known.classes[c].item(): Share(int(right[c]), int(shots[c])) for c in np.unique(left_out.columns)}


def as_with_all_shots(classifier: LowShotClassifier, left_out: LeftOut) -> LeftOut:
    """Scores as if the own class had lost no shot, for ``nearest_mean`` by cosine; those of others as they are."""
    known = left_out.known
    if not isinstance(classifier, NearestMean) or classifier.metric != "cosine" or not known.any():
        return left_out
    scores = left_out.scores.copy()
    places = np.flatnonzero(known), left_out.columns[known]
    n_base = classifier.n_base_classes_
    bias = getattr(classifier, "novel_bias_", 0.0) if n_base else 0.0
    own = scores[places] - bias
    scores[places] = own * growth(own, left_out.counts[known]) + bias
    return replace(left_out, scores=scores)


def growth(own: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Factors from the cosine to the mean of n - 1 shots to that of n.

    Args:
        own (array, (R,)): The cosines of shots to the mean of the n - 1 others of their class.
        counts (array, (R,) int): n, at least 2.

    Returns:
        (R,) factors, at least one.
    """
    fewer, mean = counts - 1.0, float(own.mean(dtype=np.float64))

    def excess(rho: float) -> float:
        return float((rho / np.sqrt(rho + (1 - rho) / fewer)).mean()) - mean

    if excess(_LEAST_COSINE) >= 0:  # classes that are no classes; a factor would only raise chance
        return np.ones(len(own))
    rho = brentq(excess, _LEAST_COSINE, 1.0) if excess(1.0) > 0 else 1.0
    return np.asarray(np.sqrt((rho + (1 - rho) / fewer) / (rho + (1 - rho) / counts)))
