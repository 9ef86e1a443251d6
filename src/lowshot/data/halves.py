"""The sizes of the four groups of a class split, where a recipe gives them as fractions of the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lowshot.errors import InputError

Half = int | float | Sequence[str]
"""The classes of one half of a split: their number, the fraction of all classes, or their names."""

_FIRST_TO_GROW = (3, 1, 2, 0)  # novel classes of the test half, its base classes, and the same of the validation half


def whole_numbers(
    base: tuple[Half, Half], novel: tuple[Half, Half], count: int
) -> tuple[tuple[Half, Half], tuple[Half, Half]]:
    """Replace fractions by numbers of classes; what rounding leaves over goes to the largest remainders.

    Args:
        base (two halves): The base classes of the validation and of the test half.
        novel (two halves): The novel classes of each.
        count (int): The number of all classes.

    Returns:
        The two pairs with a number in place of each fraction, at least 1.

    Raises:
        InputError: A fraction is not between 0 and 1, or all together are more than one.
    """
    halves = [*base, *novel]
    fractions = {i: half for i, half in enumerate(halves) if isinstance(half, float)}
    if not fractions:
        return base, novel
    if wrong := [fraction for fraction in fractions.values() if not 0 < fraction < 1]:
        raise InputError(f"{wrong[0]} is no fraction of the classes: expected a number between 0 and 1")
    if (together := sum(fractions.values())) > 1 + 1e-9:
        raise InputError(
            f"split.base and split.novel ask for {together:.3g} of the classes together: give fractions whose sum is "
            "1 at most, such as split.base=0.5 split.novel=0.5"
        )
    shares = {i: fraction * count for i, fraction in fractions.items()}
    total = math.floor(sum(shares.values()) + 1e-9)
    numbers = {i: max(1, math.floor(share + 1e-9)) for i, share in shares.items()}
    growing = sorted(shares, key=lambda i: (round(numbers[i] - shares[i], 9), _FIRST_TO_GROW.index(i)))
    for i in growing[: max(0, total - sum(numbers.values()))]:
        numbers[i] += 1
    while sum(numbers.values()) > max(total, len(numbers)):
        numbers[max(numbers, key=lambda i: (numbers[i], -_FIRST_TO_GROW.index(i)))] -= 1
    base_1, base_2, novel_1, novel_2 = (numbers.get(i, half) for i, half in enumerate(halves))
    return (base_1, base_2), (novel_1, novel_2)
