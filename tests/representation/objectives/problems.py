"""A batch, a small network and its classes."""

from __future__ import annotations

import torch

from lowshot.representation import build_backbone
from lowshot.representation.backbones import attach_head
from lowshot.representation.objectives import Batch, TrainingClasses


def batch(seed: int = 0, n: int = 5, size: int = 6, classes: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 3, size, size, generator=generator)
    return Batch(images, torch.randint(classes, (n,), generator=generator), classes)


def network(*objectives, classes: int = 4):
    torch.manual_seed(0)
    backbone = build_backbone("resnet10", classes, stem="small")
    return attach_head(backbone, objectives)


def prepared(objective, backbone=None, present=(0, 1, 2)):
    objective.prepare(network() if backbone is None else backbone, TrainingClasses(torch.tensor(present)))
    return objective
