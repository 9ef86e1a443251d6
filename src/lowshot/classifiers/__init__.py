"""Low-shot classifiers, a scikit-learn estimator a file. Names are fetched on first use: all need scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.classifiers.base import LowShotClassifier
    from lowshot.classifiers.cosine import Cosine
    from lowshot.classifiers.gaussian import Gaussian
    from lowshot.classifiers.gaussian_cosine import GaussianCosine
    from lowshot.classifiers.gaussian_kernel import GaussianKernel
    from lowshot.classifiers.gaussian_text import GaussianText
    from lowshot.classifiers.logistic import Logistic
    from lowshot.classifiers.matching_network import MatchingNetwork
    from lowshot.classifiers.nearest_mean import NearestMean
    from lowshot.classifiers.persistence import load_classifier, save_classifier
    from lowshot.classifiers.prototype_matching import PrototypeMatching
    from lowshot.classifiers.prototypical import Prototypical
    from lowshot.classifiers.prototypical_hallucination import PrototypicalHallucination
    from lowshot.classifiers.ranpac import RanPAC
    from lowshot.classifiers.ridge import Ridge
    from lowshot.classifiers.teen import Teen
    from lowshot.classifiers.wdae_gnn import WDAEGNN
    from lowshot.classifiers.weight_generator import WeightGenerator

__all__ = [
    "Cosine",
    "Gaussian",
    "Logistic",
    "LowShotClassifier",
    "MatchingNetwork",
    "NearestMean",
    "Prototypical",
    "Ridge",
    "GaussianCosine",
    "GaussianKernel",
    "GaussianText",
    "RanPAC",
    "Teen",
    "WDAEGNN",
    "WeightGenerator",
    "PrototypicalHallucination",
    "PrototypeMatching",
    "load_classifier",
    "save_classifier",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "base": ("LowShotClassifier",),
        "cosine": ("Cosine",),
        "gaussian": ("Gaussian",),
        "logistic": ("Logistic",),
        "matching_network": ("MatchingNetwork",),
        "nearest_mean": ("NearestMean",),
        "prototypical": ("Prototypical",),
        "ridge": ("Ridge",),
        "gaussian_cosine": ("GaussianCosine",),
        "gaussian_kernel": ("GaussianKernel",),
        "gaussian_text": ("GaussianText",),
        "ranpac": ("RanPAC",),
        "teen": ("Teen",),
        "wdae_gnn": ("WDAEGNN",),
        "weight_generator": ("WeightGenerator",),
        "prototypical_hallucination": ("PrototypicalHallucination",),
        "prototype_matching": ("PrototypeMatching",),
        "persistence": ("load_classifier", "save_classifier"),
    },
)
