"""One training step: a network, its losses and objectives, and its optimiser."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowshot.errors import InputError
from lowshot.registry import LOSSES
from lowshot.representation.backbones import Backbone
from lowshot.representation.losses import AuxiliaryLoss
from lowshot.representation.objectives import Batch, Objective, TrainingClasses
from lowshot.representation.objectives.combination import build_objectives
from lowshot.representation.settings import TrainSettings
from lowshot.representation.sgd import SGD
from lowshot.representation.weights import load_state

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class StepResult(NamedTuple):
    """The result of a step, on the device.

    Attributes:
        loss (scalar): The sum of the losses.
        cross_entropy (scalar): The cross-entropy.
        auxiliary (scalar or None): The auxiliary loss before its weight; None without one.
        scores (float, (N, C)): The scores before the update.
        further (dict): The losses of objectives by name.
    """

    loss: Tensor
    cross_entropy: Tensor
    auxiliary: Tensor | None
    scores: Tensor
    further: dict[str, Tensor]


class _Network(nn.Module):
    """A backbone and its objectives in one module, so that processes keep the parameters of both equal."""

    def __init__(self, backbone: Backbone, objectives: nn.ModuleDict) -> None:
        super().__init__()
        self.backbone, self.objectives = backbone, objectives

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores, features = self.backbone(images)
        return scores, features


class Trainer:
    """A backbone on its device with its losses and its optimiser: SGD on cross-entropy + weight × auxiliary loss.

    The losses of objectives are added, and each objective may change the batch before the forward pass.

    Args:
        fabric (Fabric): The device, the precision and the processes.
        backbone (Backbone): The network, on the CPU, with the head of its objectives.
        normalize (Module): The module that turns uint8 images on the device into floats.
        settings (TrainSettings): The losses, the optimiser and the memory format.
        classes (TrainingClasses or None): The classes that are trained; None takes all.
        objectives (mapping or None): The objectives by name; None builds those of the settings.
    """

    def __init__(
        self,
        fabric: Fabric,
        backbone: Backbone,
        normalize: nn.Module,
        settings: TrainSettings,
        classes: TrainingClasses | None = None,
        objectives: Mapping[str, Objective] | None = None,
    ) -> None:
        self.fabric = fabric
        self.backbone = backbone
        self.normalize = copy.deepcopy(normalize).to(fabric.device)  # the caller's module stays on its device
        self.memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.loss_weight = settings.loss_weight
        self.loss: AuxiliaryLoss | None = (
            LOSSES.build(settings.loss, **settings.loss_options) if settings.loss is not None else None
        )
        self.steps_done = 0
        backbone.to(memory_format=self.memory_format)
        self.objectives = build_objectives(settings.objective) if objectives is None else dict(objectives)
        if self.objectives:
            backbone.to(fabric.device)
            present = torch.arange(backbone.num_classes) if classes is None else classes.present
            for part in self.objectives.values():
                part.prepare(backbone, TrainingClasses(present.to(fabric.device), classes.names if classes else None))
                part.to(fabric.device)
        network = _Network(backbone, nn.ModuleDict(self.objectives))
        optimizer = SGD(
            network.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            dampening=settings.dampening,
            weight_decay=settings.weight_decay,
            foreach=True,  # one pass over all parameters, which is the default on a GPU only
        )
        self.model, self.optimizer = fabric.setup(network, optimizer)

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
        batch = Batch(self.prepare(images), labels, self.backbone.num_classes)
        for part in self.objectives.values():
            part.change(batch)
        all_scores, all_features = self.model(batch.all_images())
        scores, features, head = all_scores[: len(batch)], all_features[: len(batch)], self.backbone.classifier
        cross_entropy = F.cross_entropy(scores, batch.targets)
        loss, auxiliary = cross_entropy, None
        if self.loss is not None:
            auxiliary = self.loss(head.inputs(features), scores, batch.targets, head.class_weight())
            loss = cross_entropy + self.loss_weight * auxiliary
        further = {}
        for name, part in self.objectives.items():
            with self.fabric.autocast():
                own = part.loss(batch, all_scores, all_features)
            if own is not None:
                further[name] = own
                loss = loss + own
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.steps_done += 1
        for part in self.objectives.values():
            part.after_step(self.backbone, self.steps_done)
        return StepResult(loss, cross_entropy, auxiliary, scores, further)

    @property
    def evaluated(self) -> Backbone:
        """The network that is validated and saved: the trained one, or what an objective makes of it."""
        backbone = self.backbone
        for part in self.objectives.values():
            backbone = part.evaluated(backbone)
        return backbone

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """Compute the scores (N, C) of uint8 images (N, 3, H, W) in evaluation mode, in this process alone."""
        backbone = self.evaluated.eval()
        with self.fabric.autocast():
            return backbone(self.prepare(images))[0]

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the evaluated network and the optimiser; nothing without objectives."""
        if not self.objectives:
            return {}
        parts = {name: _on_cpu(part) for name, part in self.objectives.items()}
        return {"objective": {"parts": parts, "trained": None if self._is_evaluated else _on_cpu(self.backbone)}}

    def load(self, checkpoint: Mapping[str, Any], source: str) -> None:
        """Go on from a checkpoint, whose evaluated network the backbone is already.

        Args:
            checkpoint (mapping): The content, not yet checked.
            source (str): The noun for it in error messages.

        Raises:
            InputError: It does not hold the state of this optimiser and these objectives.
        """
        try:
            self.optimizer.load_state_dict(checkpoint["optimizer"])
            self.steps_done = int(checkpoint["schedule"]["step"])
            if self.objectives:
                for name, part in self.objectives.items():
                    part.load_state_dict(checkpoint["objective"]["parts"][name])
        except Exception as error:  # torch does not check what it is given
            reason = str(error).split("\n")[0] or type(error).__name__
            raise InputError(
                f"{source} holds no state of this optimizer ({reason}): remove it, and training goes on from the one "
                "before it"
            ) from None
        if not self._is_evaluated:
            load_state(self.backbone, checkpoint["objective"]["trained"], source)

    @property
    def _is_evaluated(self) -> bool:
        return self.evaluated is self.backbone


def _on_cpu(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.cpu().contiguous() for key, value in module.state_dict().items()}
