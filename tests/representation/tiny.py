"""A data set that needs no files, and a training run that takes a second; importable from started processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lowshot.data import ImageDataset, Transforms, build_transforms
from lowshot.representation import TrainSettings, train_representation

CLASSES = 4


class TinyImages(ImageDataset):
    """Noise of 16×16 pixels whose colour tells the class; the last class has no image."""

    def __init__(self, n: int = 10, noise_seed: int = 7) -> None:
        names = [f"{row}.png" for row in range(n)]
        labels = [row % (CLASSES - 1) for row in range(n)]
        super().__init__(names, labels, [f"class {c}" for c in range(CLASSES)], options={"noise_seed": noise_seed})
        self.noise_seed = noise_seed

    def _open(self, row: int) -> Image.Image:
        pixels = np.random.default_rng([self.noise_seed, row]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        pixels[..., int(self.labels[row])] //= 4
        return Image.fromarray(pixels)


def settings(**changes: Any) -> TrainSettings:
    """ResNet10 on batches of 4 for two epochs, with the SGM loss, in float32."""
    defaults = {
        "backbone": "resnet10",
        "backbone_options": {"stem": "small"},
        "loss": "sgm",
        "loss_weight": 0.01,
        "epochs": 2,
        "batch_size": 4,
        "lr": 0.01,
        "precision": "32-true",
    }
    return TrainSettings.model_validate({**defaults, **changes})


def transforms() -> Transforms:
    return build_transforms("small", image_size=16)


def train(out: Path, images: ImageDataset | None = None, seed: int = 3, resume: bool = True, **changes: Any) -> Path:
    """A run in ``out``; ``changes`` are settings."""
    images = TinyImages() if images is None else images
    return train_representation(settings(**changes), images, images, out, transforms(), CLASSES, seed, 0, resume)


def weights(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint by name: weights and momentum."""
    checkpoint = torch.load(path, weights_only=True)
    momentum = {str(i): state["momentum_buffer"] for i, state in checkpoint["optimizer"]["state"].items()}
    return {**checkpoint["state"], **momentum}
