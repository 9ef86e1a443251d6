"""The types of names and paths in a recipe: both become file names, so both are checked before anything is written."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

LONGEST_NAME = 80
"""Two names with a prefix and a suffix fit the 255 bytes that file systems allow for the name of a file."""

NAME_RULE = (
    f"at most {LONGEST_NAME} letters a-z and A-Z, digits, dots, underscores and dashes, starting with a letter or digit"
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

KEPT_RUNS = "replaced"
"""The name beside those of the representations that trainings of other settings are put aside under."""

Name = Annotated[str, StringConstraints(pattern=rf"^{_NAME.pattern}$", max_length=LONGEST_NAME)]
"""A key of the user's own, which names files, folders and rows of tables."""


def _path(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike) or not (text := os.fspath(value)) or "\0" in text:
        raise ValueError(f"expected a path, got {value!r}")
    expanded = os.path.expanduser(text)  # leaves ~name as it is where there is no such user
    if expanded == "~" or expanded.startswith("~/"):
        raise ValueError(f"{text!r} is in the home folder, and HOME is not set: give the whole path")
    return Path(expanded)


IS_PATH = "path"
"""Marks the types below, so that YAML's other readings of a text can be undone where a path is wanted."""

CLASS_NAME_KEYS = (("split", "base", "*", "*"), ("split", "novel", "*", "*"))
"""The keys whose values are names of classes, which YAML may read as numbers as well."""

RecipePath = Annotated[Path, BeforeValidator(_path), IS_PATH]
"""A path, with ``~`` for the user's home as in a shell."""

PathPattern = Annotated[str, BeforeValidator(lambda value: str(_path(value))), IS_PATH]
"""A path with a place for a number, as text."""


def _class_name(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{value!r} is no class name: write it in quotes, so that YAML does not read something else")


def _half(value: Any) -> int | float | tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(_class_name(name) for name in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise ValueError(
        f"expected a number of classes, a fraction of them such as 0.25, or a list of their names, got {value!r}"
    )


def _halves(value: Any) -> Any:
    """One fraction for both halves together as a fraction for each."""
    if isinstance(value, float) and 0 < value < 1:
        return value / 2, value / 2
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(
            f"expected two halves such as [3, 3], for validation and test, or a fraction of the classes for both "
            f"together such as 0.5, got {value!r}"
        )
    if isinstance(value, list | tuple) and len(value) != 2:
        raise ValueError(
            f"expected two halves, validation and test, such as [3, 3] or [[NAME, NAME], [NAME]], got {value!r}"
        )
    return value


Half = Annotated[int | float | tuple[str, ...], BeforeValidator(_half)]
"""The classes of one half of a split: their number, the fraction of all classes, or their names."""

Halves = Annotated[tuple[Half, Half], BeforeValidator(_halves)]
"""The classes of both halves; one fraction is that of both together."""


def _auto(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return () if value == "auto" else handler(value)


Shots = Annotated[
    tuple[int, ...],
    Field(min_length=1),
    WrapValidator(_auto),
    PlainSerializer(lambda shots: list(shots) or "auto", when_used="json"),
]
"""Numbers of shots; ``auto`` becomes an empty tuple until the data say which there can be."""


def is_name(value: object) -> bool:
    """True for what can be a :data:`Name`."""
    return isinstance(value, str) and len(value) <= LONGEST_NAME and _NAME.fullmatch(value) is not None


def alike(names: Iterable[str]) -> list[str]:
    """The names that differ from another one by case alone: many file systems take the two for one file."""
    names = list(names)
    count = Counter(name.casefold() for name in names)
    return [name for name in names if count[name.casefold()] > 1]
