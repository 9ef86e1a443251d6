"""Values for the parameters of a factory, checked before it is called."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from lowshot.parameters import keyword_parameters, parameter_mistakes


class Loss:
    def __init__(self, power: float = 2, normalise: bool = False, unknown_type=None) -> None: ...


def free(**anything: int) -> None: ...


def named(name: str, /, shade: int = 1, *rest: int, tone: str | None = None) -> None: ...


def unresolvable(size: "NoSuchType" = 1) -> None: ...  # type: ignore[name-defined] # noqa: F821, UP037


def test_parameters_are_those_that_are_accepted_by_keyword() -> None:
    assert list(keyword_parameters(Loss)) == ["power", "normalise", "unknown_type"]
    assert list(keyword_parameters(named)) == ["shade", "tone"]


@pytest.mark.parametrize(
    ("factory", "values", "mistakes"),
    [
        (Loss, {"power": 3, "normalise": True, "unknown_type": "x"}, []),
        (Loss, {"powre": 3}, ["loss 'l' has no parameter 'powre'. Did you mean 'power'?"]),
        (Loss, {"power": "x"}, ["loss 'l', parameter 'power': input should be a valid number"]),
        (Loss, {"powre": 3, "power": "x"}, ["no parameter 'powre'", "parameter 'power'"]),
        (functools.partial(named, "teal"), {"shade": 1.5, "tone": None}, ["parameter 'shade'"]),
        (free, {"size": "x"}, []),
        (unresolvable, {"size": "x"}, []),
    ],
)
def test_each_mistake_is_a_line_that_names_the_parameter(
    factory: Callable[..., Any], values: dict[str, Any], mistakes: list[str]
) -> None:
    found = parameter_mistakes(factory, values, called="loss 'l'")
    assert len(found) == len(mistakes)
    assert all(mistake in line for mistake, line in zip(mistakes, found))
