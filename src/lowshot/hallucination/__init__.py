"""Hallucination: from the few shots of a novel class to as many examples as a classifier needs.

Names are fetched on first use: most of them need scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use
from lowshot.registry import GENERATORS

if TYPE_CHECKING:
    from lowshot.hallucination.analogies import Analogies, AnalogyGenerator, Centroids, fit_centroids, mine_analogies
    from lowshot.hallucination.base import Generator
    from lowshot.hallucination.calibration import CalibrationGenerator
    from lowshot.hallucination.delta import DeltaEncoder
    from lowshot.hallucination.difference import DifferenceGenerator
    from lowshot.hallucination.functions import function_generator, wrap_functions

__all__ = [
    "GENERATORS",
    "Analogies",
    "AnalogyGenerator",
    "CalibrationGenerator",
    "Centroids",
    "DeltaEncoder",
    "DifferenceGenerator",
    "Generator",
    "fit_centroids",
    "function_generator",
    "mine_analogies",
    "wrap_functions",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "analogies": ("Analogies", "AnalogyGenerator", "Centroids", "fit_centroids", "mine_analogies"),
        "base": ("Generator",),
        "calibration": ("CalibrationGenerator",),
        "delta": ("DeltaEncoder",),
        "difference": ("DifferenceGenerator",),
        "functions": ("function_generator", "wrap_functions"),
    },
)
