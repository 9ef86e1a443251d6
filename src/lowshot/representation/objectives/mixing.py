"""The mixing of each example of a batch with another, which several objectives share."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Beta

from lowshot.checks import check_number
from lowshot.representation.objectives.base import Objective


class Mixing(NamedTuple):
    """The partner of each example of a batch, and the share that the example keeps.

    Attributes:
        share (float): The share λ of an example itself; its partner has 1 − λ.
        partner (int64, (N,)): The row of each example's partner, a permutation.
    """

    share: float
    partner: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Mix values (N, ...): λ of each row and 1 − λ of its partner's."""
        return self.share * values + (1 - self.share) * values[self.partner]


class MixingObjective(Objective):
    """An objective that mixes the examples of a batch in pairs, and their targets in the same shares.

    Args:
        alpha (float): The parameter of the symmetric beta distribution that λ is drawn from, once a batch: 1 is
            uniform, and less leaves most images nearly as they are.
    """

    kind = "mixing"
    makes_distributions = True

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = check_number("alpha", alpha, above=0)

    def draw(self, n: int, device: torch.device) -> Mixing:
        """Draw λ and the partners of n examples."""
        share = float(Beta(self.alpha, self.alpha).sample())
        return Mixing(share, torch.randperm(n, device=device))
