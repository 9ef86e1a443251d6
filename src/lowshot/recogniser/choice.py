"""The classifier of a recogniser, chosen by leave-one-out over its shots.

On features of a pretrained backbone the candidates lie close together (docs/results/recogniser.md), and accuracies
over a few shots differ by chance. So the simplest one, the first, is taken unless another is better by more than the
standard error of their difference, shot by shot (the one-standard-error rule: Breiman et al. 1984, section 3.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowshot.classifiers.base import LowShotClassifier
from lowshot.errors import InputError
from lowshot.recogniser.calibration import calibrated
from lowshot.recogniser.estimate import expected_accuracy
from lowshot.recogniser.intervals import Share
from lowshot.recogniser.leave_one_out import LeftOut, checked_shots, leave_one_out
from lowshot.registry import CLASSIFIERS

# From the simplest to the most elaborate. gaussian, cosine and logistic were never the best on photographs by more than
# chance, and cost seconds.
CANDIDATES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("nearest_mean", {}),
    ("ridge", {"alpha": 1.0}),
    ("ridge", {"alpha": 10.0}),
)
# Leaving one of two shots out halves what a class is learned from; a comparison there is one of single shots.
FEWEST_SHOTS = 3
FEWEST_ROWS = 15


@dataclass(frozen=True)
class Candidate:
    """One row of the table of candidates.

    Attributes:
        name (str): The registered name of the classifier.
        params (Mapping): Its parameters where they are not the default.
        accuracy (Share): The share of left-out shots that it answers right; of none where nothing was compared.
        gain (float): Its accuracy less that of the first candidate.
        gain_error (float): The standard error of that gain.
        method (str): "leave-one-out", or the number of folds.
        chosen (bool): True for one candidate.
    """

    name: str
    params: Mapping[str, Any]
    accuracy: Share
    gain: float
    gain_error: float
    method: str
    chosen: bool


@dataclass(frozen=True)
class Choice:
    """A chosen, fitted and calibrated classifier.

    Attributes:
        classifier (LowShotClassifier): The classifier, with a temperature.
        left_out (LeftOut): Its leave-one-out scores.
        candidates (sequence of Candidate): The table.
        reason (str): Why it was chosen, in a sentence.
    """

    classifier: LowShotClassifier
    left_out: LeftOut
    candidates: Sequence[Candidate]
    reason: str

    @property
    def accuracy(self) -> Share:
        """The accuracy to expect of new photos, by leave-one-out."""
        return expected_accuracy(self.classifier, self.left_out)


def choose_classifier(
    X: Any,
    y: Any,
    candidates: Sequence[tuple[str, Mapping[str, Any]]] = CANDIDATES,
    *,
    base: tuple[Any, Any] | None = None,
) -> Choice:
    """Choose among candidates by leave-one-out; equal shots give an equal choice.

    Args:
        X (array-like, (M, D)): The shots.
        y (array-like, (M,)): Their labels.
        candidates (sequence of (name, params)): Registered classifiers, the simplest first. A single one is fitted
            and calibrated without a comparison.
        base (tuple of arrays, optional): Features and labels of base classes, which every candidate learns first.

    Raises:
        InputError: No candidate, an unknown one, or damaged shots.
    """
    if not candidates:
        raise InputError("there is no candidate classifier to choose from")
    first = _fitted(*candidates[0], X, y, base)
    X, columns = checked_shots(first, X, y)
    y = first.classes_[columns]
    counts = np.bincount(columns)[first.n_base_classes_ :]
    judged = int(counts[counts >= FEWEST_SHOTS].sum())
    if len(candidates) == 1:
        reason = f"{candidates[0][0]} was asked for"
    elif judged < FEWEST_ROWS or len(counts) < 2:
        reason = (
            f"{candidates[0][0]} is the default: a comparison needs {FEWEST_ROWS} photos of classes with at least "
            f"{FEWEST_SHOTS}, and there are {judged}"
        )
    else:
        return _compared(first, X, y, candidates, base)
    left_out = leave_one_out(first, X, y)
    row = Candidate(*candidates[0], _correct(left_out), 0.0, 0.0, left_out.method, True)
    return Choice(calibrated(first, left_out), left_out, [row], reason)


def _correct(left_out: LeftOut) -> Share:
    correct = left_out.of_known().correct
    return Share(int(correct.sum()), len(correct))


def _compared(
    first: LowShotClassifier,
    X: np.ndarray,
    y: np.ndarray,
    candidates: Sequence[tuple[str, Mapping[str, Any]]],
    base: tuple[Any, Any] | None,
) -> Choice:
    fitted = [first, *(_fitted(*candidate, X, y, base) for candidate in candidates[1:])]
    parts = [leave_one_out(one, X, y) for one in fitted]
    correct = [part.of_known().correct for part in parts]
    gains = [right.astype(float) - correct[0] for right in correct]
    errors = [float(gain.std() / np.sqrt(len(gain))) for gain in gains]
    means = [float(gain.mean()) for gain in gains]
    best = max(range(len(means)), key=lambda i: (means[i], -i))
    chosen = best if means[best] > errors[best] else 0
    rows = [
        Candidate(*candidate, _correct(part), mean, error, part.method, number == chosen)
        for number, (candidate, part, mean, error) in enumerate(zip(candidates, parts, means, errors))
    ]
    name = candidates[chosen][0]
    reason = (
        f"{name} answers {means[chosen]:.1%} more of the left-out photos than {candidates[0][0]}, "
        f"with a standard error of {errors[chosen]:.1%}"
        if chosen
        else f"{name} is the simplest, and no other is better by more than the standard error"
    )
    return Choice(calibrated(fitted[chosen], parts[chosen]), parts[chosen], rows, reason)


def _fitted(name: str, params: Mapping[str, Any], X: Any, y: Any, base: tuple[Any, Any] | None) -> LowShotClassifier:
    classifier: LowShotClassifier = CLASSIFIERS.build(name, **params)
    return classifier.fit(X, y) if base is None else classifier.fit_base(*base).fit_novel(X, y)
