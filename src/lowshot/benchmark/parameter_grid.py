"""A grid of hyper-parameters: its points, the target that they are compared by, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from lowshot.benchmark.metrics import METRICS
from lowshot.errors import InputError, did_you_mean
from lowshot.files import Pathlike, read_json
from lowshot.registry import CLASSIFIERS

# The one entry of a grid that is no parameter of the classifier: the method's own.
N_PER_CLASS = "n_per_class"

_MEAN = "mean_"

ParameterGrid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Target:
    """The quantity that is maximised: an accuracy, averaged over numbers of shots or measured at a single one."""

    metric: str
    over_shots: bool

    @classmethod
    def parse(cls, text: str, n_shots: Sequence[int]) -> Target:
        """The target that ``mean_all_top5`` names or, with one number of shots, ``all_top5``.

        Raises:
            InputError: No such accuracy, or one of several numbers of shots: one choice is made for all of them.
        """
        metric = text.removeprefix(_MEAN)
        if metric not in METRICS:
            raise InputError(f"target {text!r} is none of the accuracies. {did_you_mean(metric, METRICS)}")
        over_shots = text.startswith(_MEAN)
        if not over_shots and len(n_shots) > 1:
            raise InputError(
                f"target {text!r} is measured at one number of shots, but there are {len(n_shots)}: "
                f"use {_MEAN}{text}, or give one n_shots"
            )
        return cls(metric, over_shots)


@dataclass(frozen=True)
class GridPoint:
    """One point of a grid and its value on the validation setup.

    Attributes:
        params (dict): The parameters that differ from the method's own.
        value (float or None): The target, a fraction; None where a score was NaN.
        half_width (float or None): Half the 95 % interval of ``value`` over experiments; None from one experiment.
        by_n_shots (dict): The target's accuracy at each number of shots.
        top1 (float or None): The target with top-1 in place of top-5, where several points have the highest value: it
            decides between them.
    """

    params: dict[str, Any]
    value: float | None
    half_width: float | None
    by_n_shots: dict[str, float | None]
    top1: float | None = None


@dataclass(frozen=True)
class Tuning:
    """A grid that was measured on the validation setup.

    Attributes:
        classifier (str): The name of the classifier.
        generator (str or None): The name of the generator.
        target (str): The target that is maximised, as in a recipe.
        n_shots (tuple of int): The numbers of shots of the runs.
        n_experiments (int): The number of experiments of the runs.
        seed (int): The seed of the runs.
        data (str): A fingerprint of the features and shots that could be seen.
        grid (dict): The values that were tried of each parameter.
        points (tuple of GridPoint): The points in the grid's order, the last parameter changing fastest.
    """

    classifier: str
    generator: str | None
    target: str
    n_shots: tuple[int, ...]
    n_experiments: int
    seed: int
    data: str
    grid: dict[str, tuple[Any, ...]]
    points: tuple[GridPoint, ...]

    @property
    def best(self) -> GridPoint:
        """The point of highest value; among equals the one of the highest ``top1``, then the first.

        Raises:
            InputError: No point gave a number.
        """
        best: GridPoint | None = None
        for point in self.points:
            if point.value is not None and (best is None or _rank(point) > _rank(best)):
                best = point
        if best is None:
            raise InputError(f"no point of the grid over {', '.join(self.grid)} gave a number: every score was NaN")
        return best

    @property
    def edges(self) -> dict[str, str]:
        """The parameters whose winner is the ``smallest`` or ``largest`` value tried: better ones may lie beyond."""
        found = {}
        for name, values in self.grid.items():
            numbers = [value for value in values if _is_number(value)]
            if len(set(numbers)) < 2 or len(numbers) < len(values):
                continue
            value = self.best.params[name]
            # Nothing lies below zero for counts and strengths.
            if value == max(numbers) or (value == min(numbers) and value != 0):
                found[name] = "largest" if value == max(numbers) else "smallest"
        return found

    def to_json(self) -> dict[str, Any]:
        """The winner first, then how it was found; the same for every run on the same data."""
        best = self.best
        rest = asdict(self)
        return {
            "params": best.params,
            "value": best.value,
            "half_width": best.half_width,
            "setup": "val",
            **{name: rest[name] for name in rest if name != "points"},
            "points": [
                {name: value for name, value in point.items() if name != "top1" or value is not None}
                for point in rest["points"]
            ],
        }

    @classmethod
    def read(cls, path: Pathlike) -> Tuning:
        """The tuning in a file of :meth:`to_json`.

        Raises:
            InputError: There is no such file, or it holds something else.
        """
        try:
            return cls.from_json(read_json(path, "tuned hyper-parameters"))
        except (AttributeError, KeyError, TypeError):
            raise InputError(f"{path} does not hold what lowshot tune writes: tune again, with --force") from None

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Tuning:
        """The tuning that :meth:`to_json` wrote; further entries are left out."""
        names = set(cls.__dataclass_fields__) - {"points", "grid", "n_shots"}
        return cls(
            **{name: found[name] for name in names},
            n_shots=tuple(found["n_shots"]),
            grid={name: tuple(values) for name, values in found["grid"].items()},
            points=tuple(GridPoint(**point) for point in found["points"]),
        )


def declared_grid(classifier: str) -> dict[str, tuple[Any, ...]]:
    """The grid that a registered classifier declares as worth trying; empty for one that declares none."""
    grid: ParameterGrid = getattr(CLASSIFIERS.get(classifier), "tuning_grid", {})
    return {name: tuple(values) for name, values in grid.items()}


def grid_points(grid: ParameterGrid) -> list[dict[str, Any]]:
    """The Cartesian product, the last parameter changing fastest.

    Raises:
        InputError: No parameter, one without values, or a value that is listed twice.
    """
    if not grid:
        raise InputError("the grid is empty: name at least one parameter with the values to try")
    for name, values in grid.items():
        if wrong := _list_complaint(name, values):
            raise InputError(f"the grid is wrong: {wrong}")
    return [dict(zip(grid, values)) for values in product(*grid.values())]


def grid_complaints(classifier: str, grid: ParameterGrid, has_generator: bool) -> list[str]:
    """Return one line for each mistake in tuning a registered classifier over a grid.

    Args:
        classifier (str): The registered name.
        grid (mapping): The values to try of each parameter, and maybe of ``n_per_class``.
        has_generator (bool): True where the method has a generator, which ``n_per_class`` is for.
    """
    lines = [line for name, values in grid.items() if (line := _list_complaint(name, values)) is not None]
    if N_PER_CLASS in grid:
        if not has_generator:
            lines.append(f"{N_PER_CLASS!r} is for methods with a generator")
        elif wrong := [value for value in grid[N_PER_CLASS] if type(value) is not int or value < 1]:
            lines.append(f"{N_PER_CLASS!r} counts features per class from 1 on, got {wrong[0]!r}")
    own = {name: values for name, values in grid.items() if name != N_PER_CLASS}
    if classifier in CLASSIFIERS:
        lines += [
            line for k, values in own.items() for v in values for line in CLASSIFIERS.complaints(classifier, {k: v})
        ]
        if getattr(CLASSIFIERS.get(classifier), "trained_on_episodes", False):
            free: frozenset[str] = getattr(CLASSIFIERS.get(classifier), "inference_parameters", frozenset())
            rest = f"only {', '.join(sorted(free))} can be tuned" if free else "nothing else can be tuned here"
            lines += [
                f"{name!r} belongs to the training on episodes, which is over before tuning: {rest}"
                for name in own
                if name in CLASSIFIERS.parameters(classifier) and name not in free
            ]
    return list(dict.fromkeys(lines))


def _list_complaint(name: str, values: Sequence[Any]) -> str | None:
    if not values:
        return f"{name!r} has no value to try"
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    return f"{name!r} lists {twice[0]!r} twice" if twice else None


def _rank(point: GridPoint) -> tuple[float, float]:
    """The order of points that have a value."""
    assert point.value is not None
    return point.value, -1.0 if point.top1 is None else point.top1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
