"""One training step: a network, its losses and its optimiser."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowshot.registry import LOSSES
from lowshot.representation.backbones import Backbone
from lowshot.representation.losses import AuxiliaryLoss
from lowshot.representation.settings import TrainSettings
from lowshot.representation.sgd import SGD

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class StepResult(NamedTuple):
    """The result of a step, on the device.

    Attributes:
        loss (scalar): The sum of the losses.
        cross_entropy (scalar): The cross-entropy.
        auxiliary (scalar or None): The auxiliary loss before its weight; None without one.
        scores (float, (N, C)): The scores before the update.
    """

    loss: Tensor
    cross_entropy: Tensor
    auxiliary: Tensor | None
    scores: Tensor


class Trainer:
    """A backbone on its device with its losses and its optimiser: SGD on cross-entropy + weight × auxiliary loss.

    Args:
        fabric (Fabric): The device, the precision and the processes.
        backbone (Backbone): The network, on the CPU.
        normalize (Module): The module that turns uint8 images on the device into floats.
        settings (TrainSettings): The losses, the optimiser and the memory format.
    """

    def __init__(self, fabric: Fabric, backbone: Backbone, normalize: nn.Module, settings: TrainSettings) -> None:
        self.fabric = fabric
        self.backbone = backbone
        self.normalize = copy.deepcopy(normalize).to(fabric.device)  # the caller's module stays on its device
        self.memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.loss_weight = settings.loss_weight
        self.loss: AuxiliaryLoss | None = (
            LOSSES.build(settings.loss, **settings.loss_options) if settings.loss is not None else None
        )
        backbone.to(memory_format=self.memory_format)
        optimizer = SGD(
            backbone.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            dampening=settings.dampening,
            weight_decay=settings.weight_decay,
            foreach=True,  # one pass over all parameters, which is the default on a GPU only
        )
        self.model, self.optimizer = fabric.setup(backbone, optimizer)

    def prepare(self, images: Tensor) -> Tensor:
        """Move uint8 images (N, 3, H, W) to the device and normalise them, in the memory format of the settings."""
        return self.normalize(self.fabric.to_device(images).contiguous(memory_format=self.memory_format))

    def step(self, images: Tensor, labels: Tensor, learning_rate: float) -> StepResult:
        """Update the weights once.

        Args:
            images (uint8, (N, 3, H, W)): The batch.
            labels (int64, (N,)): The labels, on the device.
            learning_rate (float): The learning rate of this step.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        scores, features = self.model(self.prepare(images))
        cross_entropy = F.cross_entropy(scores, labels)
        loss, auxiliary = cross_entropy, None
        if self.loss is not None:
            auxiliary = self.loss(features, scores, labels, self.backbone.classifier.weight)
            loss = cross_entropy + self.loss_weight * auxiliary
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizer.step()
        return StepResult(loss, cross_entropy, auxiliary, scores)

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """Compute the scores (N, C) of uint8 images (N, 3, H, W) in evaluation mode, in this process alone."""
        self.backbone.eval()
        with self.fabric.autocast():
            return self.backbone(self.prepare(images))[0]
