"""The base class of objectives, and the batch that they act on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowshot.representation.backbones import Backbone
from lowshot.representation.backbones.heads import LinearHead

if TYPE_CHECKING:
    from lowshot.representation.objectives.mixing import Mixing


class TrainingClasses(NamedTuple):
    """The classes of a training.

    Attributes:
        present (int64, (K,)): The classes that have training images, in order; the others have columns all the same.
        names (list of C str, or None): The names of all classes.
    """

    present: Tensor
    names: list[str] | None = None


@dataclass
class Batch:
    """The images of one step, which objectives change in turn before the network sees them.

    Attributes:
        images (float, (N, 3, H, W)): The normalised images that are classified.
        labels (int64, (N,)): Their labels.
        num_classes (int): The number C of classes.
        targets (int64, (N,), or float, (N, C)): The targets of the cross-entropy: the labels, or distributions.
        original (float, (N, 3, H, W)): The images as they were before any objective.
        inner_mixing (Mixing or None): The mixing of the batch that takes place inside the network.
    """

    images: Tensor
    labels: Tensor
    num_classes: int
    targets: Tensor = field(init=False)
    original: Tensor = field(init=False)
    inner_mixing: Mixing | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.targets, self.original = self.labels, self.images
        self._added: list[Tensor] = []

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, images: Tensor) -> slice:
        """Add images (M, 3, H, W) that are not classified, and return the rows of their scores and features."""
        start = len(self) + sum(map(len, self._added))
        self._added.append(images)
        return slice(start, start + len(images))

    def all_images(self) -> Tensor:
        """Return the images of the forward pass: those that are classified, then those that were added."""
        return torch.cat([self.images, *self._added]) if self._added else self.images

    def distributions(self) -> Tensor:
        """Return the targets as distributions over the classes, float32 (N, C)."""
        if self.targets.ndim == 2:
            return self.targets
        return F.one_hot(self.targets, self.num_classes).float()


class Frozen:
    """A copy of a network that is not trained, in evaluation mode.

    It is no part of the module that holds it: its weights are neither given to the optimiser nor saved.

    Attributes:
        network (Backbone): The copy.
    """

    def __init__(self, network: Backbone, device: torch.device | None = None) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False).to(device)


class Objective(nn.Module):
    """A part of what a network is trained for, beside cross-entropy and an auxiliary loss.

    A subclass overrides the hooks that it needs, and is registered with a decorator::

        @OBJECTIVES.register("noise", "Gaussian noise on the images")
        class NoiseObjective(Objective):
            def __init__(self, deviation: float = 0.1):
                super().__init__()
                self.deviation = check_number("deviation", deviation, above=0)

            def change(self, batch):
                batch.images = batch.images + self.deviation * torch.randn_like(batch.images)

    The constructor stores and checks parameters; modules are made in :meth:`prepare`. Their parameters are trained, and
    kept in checkpoints together with buffers, so that a run goes on where it was. Random numbers are torch's, which has
    a seed for each epoch and process. With several processes each has a batch of its own, and gradients are averaged.

    Attributes:
        kind (str or None): Of the objectives of one kind a training has only one; None for those that combine with
            any.
        makes_distributions (bool): True if it may turn targets into distributions.
        checkpoint_parameters (sequence of str): The parameters that name a checkpoint. In a recipe they may name
            another of its representations, which is then trained first.
    """

    kind: ClassVar[str | None] = None
    makes_distributions: ClassVar[bool] = False
    checkpoint_parameters: ClassVar[Sequence[str]] = ()

    def make_head(self, feature_dim: int, num_classes: int) -> LinearHead | None:
        """Return the classifier of the network, or None to leave it as it is."""
        return None

    def prepare(self, backbone: Backbone, classes: TrainingClasses) -> None:
        """Make what depends on the network, which is on its device, before the optimiser is made."""

    def change(self, batch: Batch) -> None:
        """Change the images or the targets of a batch, or add images."""

    def loss(self, batch: Batch, scores: Tensor, features: Tensor) -> Tensor | None:
        """Compute a scalar that is added to the loss, at every step or at none.

        Args:
            batch (Batch): The batch, after all changes.
            scores (float32, (N + M, C)): The scores of the N images and of the M that were added.
            features (float32, (N + M, D)): Their features.
        """
        return None

    def after_step(self, backbone: Backbone, steps: int) -> None:
        """Do what follows an update of the weights; ``steps`` have been done since the training began."""

    def evaluated(self, backbone: Backbone) -> Backbone:
        """Return the network that is validated and whose weights are the result."""
        return backbone
