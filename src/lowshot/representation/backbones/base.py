"""The class of all backbones: a trunk that makes features, and a classifier without bias on top of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowshot.data.preprocessing import Preprocessing
from lowshot.representation.backbones.heads import LinearHead

_WEIGHT_SOURCES = frozenset(
    {
        *("weights", "weights_backbone"),  # torchvision
        *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"),  # timm
    }
)
"""The options that say where a backbone's first weights come from: a network, a cache or another file."""


@dataclass(frozen=True)
class Head:
    """The classifier that pretrained weights come with: the scores are ``features @ weight.T + bias``.

    Attributes:
        weight (float32, (C, D)): The weight of each class.
        bias (float32, (C,)): The bias of each class; zeros where the network has none.
        names (callable or None): The function that lists the names of the classes; None where they are not known.
    """

    weight: np.ndarray
    bias: np.ndarray
    names: Callable[[], list[str]] | None = None

    @property
    def class_names(self) -> list[str] | None:
        """The names of the C classes; None where they are not known. They are read when they are asked for."""
        found = None if self.names is None else self.names()
        return found if found is not None and len(found) == len(self.weight) else None

    @classmethod
    def of_linear(cls, layer: nn.Linear, names: Callable[[], list[str]] | None = None) -> Head:
        """Copy the numbers of a linear layer."""
        weight = layer.weight.detach().float().cpu().numpy().copy()
        bias = np.zeros(len(weight), np.float32) if layer.bias is None else layer.bias.detach().float().cpu().numpy()
        return cls(weight, bias.copy(), names)


class Backbone(nn.Module):
    """A network from images to class scores that also returns the features that the scores are computed from.

    The rest of lowshot works on the features; the classifier serves to train them. It has no bias, as in Hariharan &
    Girshick (arXiv 1606.02819), so a class is a direction in feature space.

    Args:
        trunk (Module): The network from (N, 3, H, W) to (N, D), or to maps (N, D, h, w), which are then averaged over h
            and w.
        feature_dim (int): The dimension D of the features.
        num_classes (int): The number C of classes.

    Attributes:
        classifier (LinearHead): The classifier; its ``weight`` is (C, D). An objective may replace it by another head.
        config (dict): The ``name``, ``num_classes`` and ``kwargs`` with which
            :func:`~lowshot.representation.build_backbone` builds the same architecture again. The source of the weights
            is left out. A factory may set ``kwargs`` that the architecture has because of its weights. ``head``, if it
            is there, is the objective that the classifier comes from, as a recipe writes it.
        preprocessing (Preprocessing or None): The preprocessing that published weights of this architecture want; None
            where it has none.
        head (Head or None): The classifier that its weights were published with.
        source (str or None): The origin of the weights: ``"package"`` for those installed with lowshot, ``"hub"`` for
            those that timm or torchvision publish, or the file; None for random ones.
    """

    def __init__(self, trunk: nn.Module, feature_dim: int, num_classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.classifier = LinearHead(feature_dim, num_classes)
        self.feature_dim = feature_dim
        self.num_classes = num_classes
        self.config: dict[str, Any] = {}
        self.preprocessing: Preprocessing | None = None
        self.head: Head | None = None
        self.source: str | None = None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute scores (N, C) and features (N, D) of normalised images (N, 3, H, W).

        Under autocast the trunk runs in low precision; averaging and classifier, which take little time, stay in
        float32, so that features and scores are not rounded.
        """
        features = self.trunk(images)
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        if features.ndim == 4:
            features = features.mean(dim=(2, 3))
        with torch.autocast(images.device.type, enabled=False):
            return self.classifier(features), features


def is_sketch() -> bool:
    """True where networks are built on device "meta", without memory: there is nothing to load weights into."""
    return torch.get_default_device().type == "meta"


def without_weight_sources(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a backbone that decide its architecture; building with them opens no file and no connection."""
    return {
        key: value for key, value in options.items() if key not in _WEIGHT_SOURCES and not key.startswith("pretrained")
    }
