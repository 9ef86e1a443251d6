"""The angle of turned images as a second task."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowshot.checks import check_number
from lowshot.errors import InputError
from lowshot.registry import OBJECTIVES
from lowshot.representation.backbones import Backbone
from lowshot.representation.objectives.base import Batch, Objective, TrainingClasses

BIBTEX = r"""
@inproceedings{gidaris2018rotations,
  author = {Gidaris, Spyros and Singh, Praveer and Komodakis, Nikos},
  title = {Unsupervised Representation Learning by Predicting Image Rotations},
  booktitle = {International Conference on Learning Representations (ICLR)},
  year = {2018},
  eprint = {1803.07728},
  archivePrefix = {arXiv},
}

@inproceedings{gidaris2019boosting,
  author = {Gidaris, Spyros and Bursuc, Andrei and Komodakis, Nikos and P{\'e}rez, Patrick and Cord, Matthieu},
  title = {Boosting Few-Shot Visual Learning with Self-Supervision},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year = {2019},
  eprint = {1906.05186},
  archivePrefix = {arXiv},
}
"""


@OBJECTIVES.register(
    "rotations", "also tells by which of four angles added images are turned, from their features", bibtex=BIBTEX
)
class RotationsObjective(Objective):
    """Rotations as an auxiliary task (Gidaris et al. 2018, arXiv 1803.07728) beside classes (2019, arXiv 1906.05186).

    A second linear classifier tells from the features whether an image is turned by 0, 90, 180 or 270 degrees, which
    takes an understanding of what is in it that no labels give. Published are all four angles of every image, a forward
    pass of four times the images. Here a share of the batch is added, each image by an angle of its own: a step takes
    1 + ``share`` times as long.

    Args:
        share (float): The number of images that are added, relative to the batch.
        weight (float): The weight of the cross-entropy over the angles.
    """

    def __init__(self, share: float = 0.5, weight: float = 1.0) -> None:
        super().__init__()
        self.share = check_number("share", share, above=0, most=4)
        self.weight = check_number("weight", weight, above=0)

    def prepare(self, backbone: Backbone, classes: TrainingClasses) -> None:
        self.classifier = nn.Linear(backbone.feature_dim, 4)

    def change(self, batch: Batch) -> None:
        n, count = len(batch), max(1, round(self.share * len(batch)))
        places = torch.arange(count)
        turns = (places % n + places // n) % 4  # an image that is taken again is turned by another angle
        rows = torch.randperm(n).repeat(4)[:count]
        device = batch.images.device
        self._rows = batch.add(turned(batch.original[rows.to(device)], turns))
        self._turns = turns.to(device)

    def loss(self, batch: Batch, scores: Tensor, features: Tensor) -> Tensor:
        return self.weight * F.cross_entropy(self.classifier(features[self._rows]), self._turns)


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Turn images, each counter-clockwise by a number of right angles.

    Args:
        images (float, (N, 3, S, S)): The images.
        turns (int64, (N,)): The numbers, on the CPU.

    Raises:
        InputError: The images are not square.
    """
    if images.shape[-1] != images.shape[-2]:
        raise InputError(f"rotations needs square images, not {images.shape[-2]} × {images.shape[-1]} pixels")
    result = images.clone()
    for quarter in range(1, 4):
        rows = (turns == quarter).nonzero().squeeze(1).to(images.device)
        result[rows] = images[rows].rot90(quarter, dims=(2, 3))
    return result
