"""What every backbone is: a trunk that makes features, and a linear classifier without bias on top of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Backbone(nn.Module):
    """A network from images to class scores that also returns the features the scores were made from.

    The features are what the rest of lowshot works on; the classifier exists to train them. It has no bias, as in
    Hariharan & Girshick (arXiv 1606.02819), so a class is a direction in feature space.

    Args:
        trunk: a module from (N, 3, H, W) to (N, D), or to maps (N, D, h, w), which are then averaged over h and w.
        feature_dim: D.
        num_classes: C.

    Attributes:
        classifier: the linear layer; its ``weight`` is (C, D).
        config: ``name``, ``num_classes`` and ``kwargs``, which :func:`~lowshot.representation.build_backbone` takes
            to make the same architecture again. It never says where weights came from.
    """

    def __init__(self, trunk: nn.Module, feature_dim: int, num_classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.classifier = nn.Linear(feature_dim, num_classes, bias=False)
        self.feature_dim = feature_dim
        self.num_classes = num_classes
        self.config: dict[str, Any] = {}

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, C) and features (N, D) of normalised images (N, 3, H, W).

        Under autocast the trunk runs in the low precision; averaging and classifier, which cost next to nothing, stay
        in float32, so features keep their digits and the losses see exact scores.
        """
        features = self.trunk(images)
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        if features.ndim == 4:
            features = features.mean(dim=(2, 3))
        with torch.autocast(images.device.type, enabled=False):
            return self.classifier(features), features
