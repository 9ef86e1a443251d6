"""A data set in memory and a backbone of a few weights, importable by the processes that extraction starts."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from PIL import Image

from lowshot.data.base import ImageDataset


class Pictures(ImageDataset):
    """Random 8 × 8 images of three classes; loading one can be slow or fail."""

    def __init__(self, size: int, seconds: float = 0.0, fails_at: int | None = None) -> None:
        super().__init__([f"c{i % 3}/{i}.png" for i in range(size)], np.arange(size) % 3, ["zero", "one", "two"])
        self.seconds = seconds
        self.fails_at = fails_at

    def _open(self, row: int) -> Image.Image:
        time.sleep(self.seconds)
        if row == self.fails_at:
            raise OSError("it is damaged")
        return Image.fromarray(np.random.default_rng(row).integers(0, 256, (8, 8, 3), dtype=np.uint8))


class TinyBackbone(torch.nn.Module):
    feature_dim = 6
    config = {"name": "tiny", "num_classes": 3}

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 6, 3, stride=2)
        self.norm = torch.nn.BatchNorm2d(6)
        self.classifier = torch.nn.Linear(6, 3, bias=False)

    def forward(self, x: torch.Tensor) -> Any:
        features = self.norm(self.conv(x)).relu().mean((2, 3))
        return self.classifier(features), features
