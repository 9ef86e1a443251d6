"""Stochastic gradient descent as ``torch.optim.SGD`` computes it, bit for bit, for loops that need nothing else of it.

The first optimizer of ``torch.optim`` that a process makes imports torch's compiler, which takes longer than many a
short run.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


class SGD:
    """``torch.optim.SGD(..., fused=True)``: one pass over each parameter updates its velocity and its value.

    Args:
        parameters (sequence of Tensor): The float32 tensors to update, all on one device. Their ``grad`` must be set at
            each step.
        lr (float): The learning rate.
        momentum (float): The momentum.
        dampening (float): The dampening of the momentum, from the second step on.
        weight_decay (float): The weight decay.

    Attributes:
        lr (float): The learning rate of the next step.
        velocities (list of Tensor): The velocity of each parameter; empty before the first step and without momentum.
    """

    def __init__(
        self,
        parameters: Sequence[torch.Tensor],
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        self.parameters = list(parameters)
        self.lr = lr
        self.momentum = momentum
        self.dampening = dampening
        self.weight_decay = weight_decay
        self.velocities: list[torch.Tensor] = []

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters by their gradients."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        first = not self.velocities
        if first and self.momentum:
            self.velocities = [torch.empty_like(parameter) for parameter in self.parameters]
        torch._fused_sgd_(
            self.parameters,
            gradients,
            self.velocities,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.lr,
            dampening=self.dampening,
            nesterov=False,
            maximize=False,
            is_first_step=first,
        )
