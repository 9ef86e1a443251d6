"""Hold out a test part of data that come without one: a number of images of each class, or half of each."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np

from lowshot.checks import check_count
from lowshot.errors import InputError

TestPerClass = int | Literal["auto"]
"""The number of images of each class to hold out; "auto" is half, rounded up, and :data:`MOST_HELD_OUT` at most."""

MOST_HELD_OUT = 50
"""The most images that "auto" holds out of a class: more hardly narrow the interval of an accuracy."""


def holdout(
    labels: np.ndarray,
    class_names: Sequence[str],
    part: str,
    test_per_class: TestPerClass,
    seed: int,
    paths: Sequence[str] | None = None,
) -> np.ndarray:
    """Draw ``test_per_class`` images of each class as the test part and return the rows of one part.

    The draw of a class depends on the seed, the class's name and its number of images alone, so that a new class
    changes nothing for the others.

    Args:
        labels (int64, (N,)): The label of each row.
        class_names (sequence of C str): The names of the classes.
        part (str): ``"train"`` or ``"test"``.
        test_per_class (int or "auto"): The number of images of each class that are held out. With "auto" a class of a
            single image keeps it in the training part, and the draw does not depend on the order of rows.
        seed (int): The seed of the draw.
        paths (sequence of N str, or None): The path of each row, in whose order "auto" draws; None for that of rows.

    Returns:
        (n,) int64 rows, sorted.

    Raises:
        InputError: A class would have no image left to train on; the message names the largest number that works. Or,
            with "auto", every class has a single image.
    """
    check_count("seed", seed, least=0)
    held_out = np.zeros(len(labels), dtype=bool)
    sizes = np.bincount(labels, minlength=len(class_names))
    if test_per_class == "auto":
        order = np.lexsort([np.arange(len(labels)) if paths is None else np.array(paths), labels])
        numbers = np.where(sizes > 1, np.minimum((sizes + 1) // 2, MOST_HELD_OUT), 0)
        if not numbers.any():
            raise InputError(
                "every class has a single image, so none can be held out to test on: a class needs two at least "
                "(data.root says where they are)"
            )
    else:
        order = np.argsort(labels, kind="stable")
        _check_sizes(sizes, class_names, check_count("test_per_class", test_per_class))
        numbers = np.full(len(sizes), test_per_class)
    for name, number, rows in zip(class_names, numbers, np.split(order, np.cumsum(sizes)[:-1])):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        held_out[rng.permutation(rows)[:number]] = True
    return np.flatnonzero(held_out if part == "test" else ~held_out)


def _check_sizes(sizes: np.ndarray, class_names: Sequence[str], test_per_class: int) -> None:
    small = np.flatnonzero((sizes > 0) & (sizes <= test_per_class))
    if not len(small):
        return
    least = int(small[np.argmin(sizes[small])])
    others = f" (and {len(small) - 1} more classes have too few)" if len(small) > 1 else ""
    largest = int(sizes[least]) - 1
    advice = (
        f"set it to {largest} at most (data.options.test_per_class={largest} in a recipe)"
        if largest
        else "give that class a second image, or leave it out"
    )
    raise InputError(
        f"class {class_names[least]!r} has {sizes[least]} images: test_per_class {test_per_class} leaves none to train "
        f"on{others}; {advice}"
    )
