"""Probabilities that can be believed: the temperature of the softmax, chosen from the shots themselves.

Scores become probabilities by a softmax of scores divided by one temperature, which changes no answer (Guo et al.
2017, arXiv 1706.04599). It minimises the negative log likelihood of leave-one-out scores, so that no photo must be
put aside. Few shots say little, and one shot a class says nothing about its own class; then the temperature rests on
a rule that needs no class twice: it is a fixed share of the spread of the scores of shots for *other* classes, a
property of the backbone's features that any two classes show. The share, measured once on photographs
(docs/results/recogniser.md), hardly depends on the number of classes or shots. A Gaussian prior on the logarithm of
the temperature joins the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from lowshot.classifiers.base import LowShotClassifier
from lowshot.recogniser.leave_one_out import LeftOut
from lowshot.registry import CLASSIFIERS

# Temperature over the spread of the scores for other classes, where classes have one shot and where they have more: in
# between those of photographs and of 32-pixel images, whose best temperatures themselves differ by a factor of two.
SHARES = {"nearest_mean": (0.65, 0.6), "cosine": (0.65, 0.6), "ridge": (0.85, 0.8), "gaussian": (0.4, 0.4)}
_OTHER_SHARES = (0.65, 0.6)
# The standard deviation of the logarithm of the best temperature about the rule's, over draws of 12 or more classes.
_LOG_DEVIATION = 0.25
# Beyond ten times the rule's temperature in either direction the prior leaves nothing.
_LOG_RANGE = 2.5
_MOST_SCORES = 500_000


@dataclass(frozen=True)
class Temperature:
    """A temperature and where it comes from.

    Attributes:
        value (float): The temperature.
        rule (float): The temperature by the spread of the scores alone.
        n_rows (int): The number of left-out shots with another one of their class; without any ``value`` is ``rule``.
    """

    value: float
    rule: float
    n_rows: int


def calibrated(classifier: LowShotClassifier, left_out: LeftOut) -> LowShotClassifier:
    """A copy of a fitted classifier with the temperature of :func:`fit_temperature`."""
    return classifier.with_temperature(fit_temperature(classifier, left_out).value)


def fit_temperature(classifier: LowShotClassifier, left_out: LeftOut) -> Temperature:
    """The likeliest temperature, given leave-one-out scores and the rule.

    Args:
        classifier (LowShotClassifier): The classifier of the scores.
        left_out (LeftOut): Its leave-one-out scores.
    """
    rule = temperature_by_spread(classifier, left_out)
    known = left_out.of_known()
    n_rows, n_classes = known.scores.shape
    if not n_rows or n_classes < 2:
        return Temperature(rule, rule, 0)
    some = max(1, _MOST_SCORES // n_classes)
    if n_rows > some:
        known = known.at(np.linspace(0, n_rows - 1, some).astype(int))
    scores = known.scores - known.own_scores[:, None]

    def loss(log_factor: float) -> float:
        likelihood = logsumexp(scores / (rule * np.exp(log_factor)), axis=1).sum(dtype=np.float64)
        return float(likelihood + (log_factor / _LOG_DEVIATION) ** 2 / 2)

    found = minimize_scalar(loss, bounds=(-_LOG_RANGE, _LOG_RANGE), method="bounded", options={"xatol": 1e-3})
    return Temperature(rule * float(np.exp(found.x)), rule, n_rows)


def temperature_by_spread(classifier: LowShotClassifier, left_out: LeftOut) -> float:
    """The temperature by the rule: a share of the standard deviation of the scores of shots for other classes.

    Args:
        classifier (LowShotClassifier): The classifier; its kind decides the share.
        left_out (LeftOut): Its leave-one-out scores.

    Returns:
        float: The temperature; that of the classifier itself where the scores show no spread.
    """
    others = np.ones(left_out.scores.shape, bool)
    others[np.arange(len(left_out.rows)), left_out.columns] = False
    scores = left_out.scores[others]
    scores = scores[np.isfinite(scores)]
    spread = float(scores.std(dtype=np.float64)) if len(scores) > 1 else 0.0
    shares = SHARES.get(CLASSIFIERS.name_of(type(classifier), default=""), _OTHER_SHARES)
    share = shares[int(left_out.known.mean() > 0.5)]
    # Scores that differ by rounding alone, as of features that are all equal, have no spread.
    rounding = 1e-6 * float(np.abs(scores).max(initial=0.0))
    return share * spread if spread > rounding else float(classifier._temperature())


def expected_calibration_error(probabilities: np.ndarray, columns: np.ndarray, bins: int = 15) -> float:
    """The mean gap between confidence and accuracy over bins of equal width (Guo et al. 2017, equation 3).

    Args:
        probabilities (array, (N, C)): The probabilities.
        columns (array, (N,) int): The true columns.
        bins (int): The number of bins of the highest probability.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == columns
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(columns))
