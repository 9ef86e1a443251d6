"""A test part for data that come without one: the same seeded number of images of each class."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from lowshot.errors import InputError


def holdout(labels: np.ndarray, class_names: Sequence[str], part: str, test_per_class: int, seed: int) -> np.ndarray:
    """The rows of one part, sorted, when ``test_per_class`` images of each class are drawn as the test part.

    The draw of a class depends on the seed, the class's name and its number of images alone, so that adding a class
    leaves the others' images where they are.

    Args:
        labels: (N,) int64.
        class_names: C names.
        part: ``"train"`` or ``"test"``.
        test_per_class: how many of each class are held out.
        seed: of the draw.

    Raises:
        InputError: a class would have no image left to train on.
    """
    whole_number("test_per_class", test_per_class, least=1)
    whole_number("seed", seed, least=0)
    held = np.zeros(len(labels), dtype=bool)
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=len(class_names))
    for name, rows in zip(class_names, np.split(order, np.cumsum(sizes)[:-1])):
        if 0 < len(rows) <= test_per_class:
            raise InputError(
                f"class {name!r} has {len(rows)} images: test_per_class {test_per_class} leaves none to train on"
            )
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        held[rng.permutation(rows)[:test_per_class]] = True
    return np.flatnonzero(held if part == "test" else ~held)


def whole_number(name: str, value: Any, least: int) -> None:
    """Check an option that counts something.

    Raises:
        InputError: it is not an integer, or below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} is {value!r}: expected a whole number of at least {least}")
