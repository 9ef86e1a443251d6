"""Low-shot classifiers, a scikit-learn estimator a file."""

from lowshot.classifiers.base import LowShotClassifier

__all__ = ["LowShotClassifier"]
