"""Intervals of shares, such as the accuracy over the shots of a recogniser."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Share:
    """A share of a number of photos, with its 95 % interval by Wilson (1927), which holds for few photos too.

    Attributes:
        count (int): The number that counts.
        total (int): The number of all.
    """

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """The share; None of no photos."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """The lower and the upper end; (0, 1) of no photos."""
        if not self.total:
            return 0.0, 1.0
        square = _Z**2 / self.total
        share = self.count / self.total
        middle = (share + square / 2) / (1 + square)
        half = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        if not self.total:
            return "unknown"
        low, high = self.interval
        return f"{self.count / self.total:.1%} ({low:.1%} to {high:.1%}, {self.count} of {self.total})"
