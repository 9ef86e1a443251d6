"""Hallucination: from the few shots of a novel class to as many examples as a classifier needs."""

from __future__ import annotations

from lowshot.hallucination.analogies import Analogies, AnalogyGenerator, Centroids, fit_centroids, mine_analogies
from lowshot.hallucination.base import Generator
from lowshot.hallucination.calibration import CalibrationGenerator
from lowshot.hallucination.difference import DifferenceGenerator
from lowshot.hallucination.functions import function_generator, wrap_functions
from lowshot.registry import GENERATORS

__all__ = [
    "GENERATORS",
    "Analogies",
    "AnalogyGenerator",
    "CalibrationGenerator",
    "Centroids",
    "DifferenceGenerator",
    "Generator",
    "fit_centroids",
    "function_generator",
    "mine_analogies",
    "wrap_functions",
]
