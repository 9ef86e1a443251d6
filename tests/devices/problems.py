"""Small problems for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from lowshot.registry import BACKBONES
from lowshot.representation import build_backbone
from lowshot.representation.backbones import Backbone
from lowshot.representation.backbones.conv import Conv3x3

DIM = 6


@BACKBONES.register("devices_tiny", "two convolutions, for tests of devices")
def devices_tiny(num_classes: int) -> Backbone:
    """A backbone of a few weights, with the layers that differ between a CPU and a GPU."""
    trunk = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        Conv3x3(8, DIM, stride=4, bias=True),
        nn.ReLU(inplace=True),
    )
    return Backbone(trunk, DIM, num_classes)


def tiny_backbone(num_classes: int) -> Backbone:
    """A ``devices_tiny`` backbone that knows its configuration."""
    torch.manual_seed(0)
    return build_backbone("devices_tiny", num_classes)


def features(n_classes: int = 6, per_class: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, DIM) float32 of clustered classes after a ReLU, and their labels in random order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(n_classes), per_class))
    means = 3 * rng.random((n_classes, DIM))
    return np.maximum(means[labels] + rng.normal(size=(len(labels), DIM)), 0).astype(np.float32), labels


def arrays(value: Any) -> dict[str, np.ndarray]:
    """The arrays of a fitted estimator, or of a dictionary of tensors, by name."""
    items = value if isinstance(value, dict) else vars(value)
    found: dict[str, np.ndarray] = {}
    for name, item in items.items():
        if isinstance(item, dict):
            found |= {f"{name}/{key}": array for key, array in arrays(item).items()}
        elif isinstance(item, np.ndarray | torch.Tensor):
            found[name] = np.asarray(item)
    return found
