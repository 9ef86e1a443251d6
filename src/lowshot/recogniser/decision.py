"""What a recogniser decides about itself from its shots: classifier, temperature, and when it does not know."""

from __future__ import annotations

from lowshot.classifiers import LowShotClassifier
from lowshot.recogniser.model import Examples, fitted
from lowshot.recogniser.state import State
from lowshot.registry import CLASSIFIERS


def decide(state: State, examples: Examples, base: LowShotClassifier | None) -> tuple[State, LowShotClassifier]:
    """Choose the classifier, unless the user did, fit it, and calibrate it by leave-one-out over the shots."""
    return state, refitted(state, examples, base)


def refitted(state: State, examples: Examples, base: LowShotClassifier | None) -> LowShotClassifier:
    """The classifier of a state, fitted on its shots again."""
    return fitted(CLASSIFIERS.build(state.classifier.name, **state.classifier.params), examples, base)
