"""Low-shot classifiers, a scikit-learn estimator a file. Names are fetched on first use: some need torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lowshot.classifiers.base import LowShotClassifier

if TYPE_CHECKING:
    from lowshot.classifiers.cosine import Cosine
    from lowshot.classifiers.gaussian import Gaussian
    from lowshot.classifiers.logistic import Logistic
    from lowshot.classifiers.matching_network import MatchingNetwork
    from lowshot.classifiers.nearest_mean import NearestMean
    from lowshot.classifiers.persistence import load_classifier, save_classifier
    from lowshot.classifiers.prototypical import Prototypical
    from lowshot.classifiers.ridge import Ridge

__all__ = [
    "Cosine",
    "Gaussian",
    "Logistic",
    "LowShotClassifier",
    "MatchingNetwork",
    "NearestMean",
    "Prototypical",
    "Ridge",
    "load_classifier",
    "save_classifier",
]

_HOME = {
    "Cosine": "cosine",
    "Gaussian": "gaussian",
    "Logistic": "logistic",
    "MatchingNetwork": "matching_network",
    "NearestMean": "nearest_mean",
    "Prototypical": "prototypical",
    "Ridge": "ridge",
    "load_classifier": "persistence",
    "save_classifier": "persistence",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
