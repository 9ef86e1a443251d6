"""A classifier by cosines."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowshot.checks import check_number
from lowshot.papers import GIDARIS_2018, QI_2018
from lowshot.registry import OBJECTIVES
from lowshot.representation.backbones.heads import LinearHead
from lowshot.representation.objectives.base import Objective


class CosineHead(LinearHead):
    """Scores s · cos(φ, w): a linear classifier of weight s · w / ‖w‖ on features of length one.

    Args:
        feature_dim (int): The dimension D of the features.
        num_classes (int): The number C of classes.
        scale (float): The factor s before the softmax.
        learned (bool): True trains s, from this value on.
    """

    uses_length: ClassVar[bool] = False

    def __init__(self, feature_dim: int, num_classes: int, scale: float, learned: bool) -> None:
        super().__init__(feature_dim, num_classes)
        self.scale = nn.Parameter(torch.tensor(scale)) if learned else scale

    def inputs(self, features: Tensor) -> Tensor:
        return F.normalize(features, dim=1)

    def class_weight(self) -> Tensor:
        return self.scale * F.normalize(self.weight, dim=1)


@OBJECTIVES.register(
    "cosine_head",
    "classifies by scale × cosine of features and weight, instead of their product",
    bibtex=GIDARIS_2018 + QI_2018,
)
class CosineHeadObjective(Objective):
    """A cosine classifier on top of the network (Gidaris & Komodakis 2018, arXiv 1804.09458, section 3.2).

    Features that are compared by angle alone vary less within classes, and serve novel classes better; the mean of a
    few of them is a weight for a novel class as good as those that were trained (Qi et al. 2018, arXiv 1712.07136). A
    linear head also depends on the length of features, which differs between images. The scale replaces the length:
    cosines lie in −1..1, whose softmax is too flat to learn from.

    Args:
        scale (float): The factor before the softmax; Gidaris & Komodakis start at 10 and train it.
        learned (bool): True trains the scale.
    """

    kind = "head"

    def __init__(self, scale: float = 16.0, learned: bool = False) -> None:
        super().__init__()
        self.scale, self.learned = check_number("scale", scale, above=0), learned

    def make_head(self, feature_dim: int, num_classes: int) -> LinearHead:
        return CosineHead(feature_dim, num_classes, self.scale, self.learned)
