"""The original's list of named image transforms, made of torchvision's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from lowshot.compat.data_schema import Strength, TransformParams
from lowshot.data import Normalize
from lowshot.data.transforms import ImageTransform

ENHANCERS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "Brightness": F.adjust_brightness,
    "Contrast": F.adjust_contrast,
    "Color": F.adjust_saturation,
    "Sharpness": F.adjust_sharpness,
}


@dataclass(frozen=True)
class ImageJitter:
    """Changes each property by a factor drawn uniformly from 1 ± its strength, one after the other."""

    strengths: Mapping[Strength, float]

    def __call__(self, image: Tensor) -> Tensor:
        for name, strength in self.strengths.items():
            factor = 1 + strength * (2 * torch.rand(()).item() - 1)
            image = ENHANCERS[name](image, max(0.0, factor))
        return image


def image_transform(params: TransformParams) -> ImageTransform:
    """Make the transform of a PIL image to a uint8 tensor (3, H, W) that the list names, without ``Normalize``.

    It runs on uint8 tensors from the start, which torchvision resizes several times as fast as images.
    """
    size = params.image_size
    steps: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
        "RandomSizedCrop": lambda: v2.RandomResizedCrop(size, antialias=True),
        "CenterCrop": lambda: v2.CenterCrop(size),
        "Scale": lambda: v2.Resize(params.scale, antialias=True),
        "ImageJitter": lambda: ImageJitter(params.jitter_params or {}),
        "RandomHorizontalFlip": lambda: v2.RandomHorizontalFlip(),
    }
    chosen = [steps[name]() for name in params.transform_list if name in steps]
    return v2.Compose([v2.PILToTensor(), *chosen])


def normalisation(params: TransformParams) -> Normalize:
    """The normalisation of a batch, as ``ToTensor`` and ``Normalize`` do it: divide by 255, then shift and scale."""
    if "Normalize" in params.transform_list:
        return Normalize(params.mean or (), params.std or ())
    return Normalize((0, 0, 0), (1, 1, 1))
