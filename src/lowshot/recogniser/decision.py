"""What a recogniser decides from its shots: classifier, temperature, accuracy, and when it does not know."""

from __future__ import annotations

import numpy as np

from lowshot.classifiers import LowShotClassifier
from lowshot.recogniser.base_bias import choose_base_bias
from lowshot.recogniser.calibration import calibrated
from lowshot.recogniser.choice import CANDIDATES, Choice, choose_classifier
from lowshot.recogniser.estimate import accuracy_by_class
from lowshot.recogniser.leave_one_out import leave_one_out
from lowshot.recogniser.model import Examples, fitted
from lowshot.recogniser.state import Estimate, State
from lowshot.recogniser.unknown import fit_unknown
from lowshot.registry import CLASSIFIERS

MOST_COMPARED = 300
"""The largest number of shots over which classifiers are compared, since that takes a second for a thousand.

Beyond, the first candidate is taken: on photographs none is better by more than half a point
(docs/results/recogniser.md).
"""


def decide(state: State, examples: Examples, base: LowShotClassifier | None) -> tuple[State, LowShotClassifier]:
    """Choose the classifier, unless the user did, fit it, and calibrate it by leave-one-out over the shots.

    Args:
        state (State): The state, with what the user chose.
        examples (Examples): Its live shots.
        base (LowShotClassifier or None): The classifier that has learned the base classes.

    Returns:
        The state with what was decided, and the fitted classifier.
    """
    if not len(examples.labels):
        assert base is not None
        return undecided(state), base
    choice = _choice(state, examples, base)
    chosen = choice.classifier
    params = {} if base is not None else chosen.recorded_params()
    classifier = state.classifier.model_copy(
        update={"name": CLASSIFIERS.name_of(type(chosen)), "params": params, "reason": choice.reason}
    )
    rule = fit_unknown(examples.features, examples.labels, threshold=state.unknown_at if state.unknown_given else None)
    update = {
        "bias": float(getattr(chosen, "novel_bias_", 0.0)),
        "unknown_at": rule.threshold,
        "unknown_rate": None if rule.kept.value is None else 1 - rule.kept.value,
        "passed_rate": rule.passed.value,
        "classifier": classifier,
        "temperature": float(chosen.temperature_),
        "estimate": _estimate(state, choice),
    }
    return state.model_copy(update=update), chosen


def undecided(state: State) -> State:
    """A state of no shots, which say nothing."""
    return state.model_copy(update={"estimate": None, "unknown_rate": None, "passed_rate": None})


def refitted(state: State, examples: Examples, base: LowShotClassifier | None) -> LowShotClassifier:
    """The classifier of a state, fitted on its shots again."""
    if base is None:
        classifier = fitted(CLASSIFIERS.build(state.classifier.name, **state.classifier.params), examples, None)
    else:
        classifier = fitted(base, examples, base).with_calibration_bias(state.bias)
    return classifier.with_temperature(state.temperature)


def _choice(state: State, examples: Examples, base: LowShotClassifier | None) -> Choice:
    X, y = examples.features, examples.labels
    if base is not None:
        known = fitted(base, examples, base)
        known = known.with_calibration_bias(_bias(known, state, examples))
        left_out = leave_one_out(known, X, y)
        return Choice(calibrated(known, left_out), left_out, [], "the base classes were learned by it")
    if state.classifier.given:
        return choose_classifier(X, y, [(state.classifier.name, state.classifier.params)])
    return choose_classifier(X, y, CANDIDATES if len(y) <= MOST_COMPARED else CANDIDATES[:1])


def _bias(classifier: LowShotClassifier, state: State, examples: Examples) -> float:
    """The calibration bias between base and taught classes for the shots that there are."""
    assert state.base is not None
    known = state.base.bias_for(float(np.median(np.unique(examples.labels, return_counts=True)[1])))
    if known is not None:
        return known
    left_out = leave_one_out(classifier, examples.features, examples.labels)
    return choose_base_bias(left_out, classifier.n_base_classes_).bias


def _estimate(state: State, choice: Choice) -> Estimate | None:
    share = choice.accuracy
    if not share.total:
        return None
    first = 0 if state.base is None else len(state.base.names)
    low, high = share.interval
    names = {first + i: one.name for i, one in enumerate(state.classes)}
    return Estimate(
        accuracy=share.count / share.total,
        low=low,
        high=high,
        shots=share.total,
        classes={
            names[label]: own.count / own.total
            for label, own in accuracy_by_class(choice.classifier, choice.left_out).items()
            if own.total
        },
    )
