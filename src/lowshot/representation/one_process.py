"""Training in one process in float32, which needs nothing of Lightning Fabric."""

from __future__ import annotations

import contextlib
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

M = TypeVar("M", bound=nn.Module)
O = TypeVar("O", bound=Optimizer)  # noqa: E741


class OneProcess:
    """The part of ``lightning_fabric.Fabric`` that a training uses, for one process and precision 32-true.

    Fabric imports torch's compiler, which takes longer than a short training.

    Args:
        device (str): The device to train on.
    """

    global_rank, world_size, is_global_zero = 0, 1, True

    def __init__(self, device: str) -> None:
        self.device = torch.device(device, 0) if device == "cuda" else torch.device(device)

    def setup(self, module: M, optimizer: O) -> tuple[M, O]:
        """Move a module, whose parameters the optimizer has, to the device."""
        return module.to(self.device), optimizer

    def to_device(self, tensor: Tensor) -> Tensor:
        """Return a tensor on the device; a copy from pinned memory to a GPU does not wait."""
        return tensor.to(self.device, non_blocking=self.device.type == "cuda")

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss."""
        loss.backward()

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """Return a context that changes nothing: everything is float32."""
        return contextlib.nullcontext()

    def all_reduce(self, tensor: Tensor, reduce_op: str) -> Tensor:
        """Return the tensor: there is no other process to combine it with."""
        return tensor

    def barrier(self) -> None:
        """Wait for no one."""
