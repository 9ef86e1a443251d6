"""Conformance checks for parts that somebody adds: call them in your own tests.

>>> from lowshot.testing import check_classifier
>>> check_classifier("nearest_mean")

Each runs a part on small made-up data and raises a :class:`ConformanceError` that lists everything that is wrong with
it: shapes, dtypes, NaN, randomness that no seed controls, arguments that are changed in place, state that leaks from
one draw of shots into the next, files that do not give back what was saved. ``lowshot validate`` runs the same checks
on the plug-ins of a recipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.testing.backbones import check_backbone
    from lowshot.testing.classifiers import check_classifier
    from lowshot.testing.conformance import ConformanceError
    from lowshot.testing.generators import check_generator
    from lowshot.testing.losses import check_loss
    from lowshot.testing.objectives import check_objective

__all__ = [
    "ConformanceError",
    "check_backbone",
    "check_classifier",
    "check_generator",
    "check_loss",
    "check_objective",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "backbones": ("check_backbone",),
        "classifiers": ("check_classifier",),
        "conformance": ("ConformanceError",),
        "generators": ("check_generator",),
        "losses": ("check_loss",),
        "objectives": ("check_objective",),
    },
)
