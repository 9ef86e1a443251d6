"""The original's list of named image transforms, on PIL images as there.

Pixels are those of torchvision's transforms of the same kinds, to the last level, with the same draws from torch's
generator. torchvision itself is not imported: it takes longer to load than a short program to run, and its transforms
of tensors, which :mod:`lowshot.data` uses, round differently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from PIL import Image, ImageEnhance

from lowshot.compat.data_schema import Strength, TransformParams
from lowshot.data import Normalize
from lowshot.data.pictures import as_pixels, centre_cropped, shorter_side_resized
from lowshot.data.transforms import ImageTransform

AREA, RATIO, ATTEMPTS = (0.08, 1.0), (3 / 4, 4 / 3), 10

PixelTransform = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Scale:
    """Resizes an image so that its shorter side has ``size`` pixels."""

    size: int

    def __call__(self, image: Image.Image) -> Image.Image:
        return shorter_side_resized(image, self.size)


@dataclass(frozen=True)
class CenterCrop:
    """Cuts a square of ``size`` pixels out of the middle; an image that is smaller gets a black border."""

    size: int

    def __call__(self, image: Image.Image) -> Image.Image:
        return centre_cropped(image, (self.size, self.size))


@dataclass(frozen=True)
class RandomSizedCrop:
    """Cuts out a random part of 8 to 100 % of the area and of sides 3:4 to 4:3, and resizes it to a square."""

    size: int

    def __call__(self, image: Image.Image) -> Image.Image:
        left, top, width, height = self._draw(*image.size)
        part = image.crop((left, top, left + width, top + height))
        return part.resize((self.size, self.size), Image.Resampling.BILINEAR)

    @staticmethod
    def _draw(width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of the part."""
        for _ in range(ATTEMPTS):
            area = width * height * torch.empty(1).uniform_(*AREA).item()
            ratio = torch.exp(torch.empty(1).uniform_(math.log(RATIO[0]), math.log(RATIO[1]))).item()
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                top = int(torch.randint(0, height - h + 1, size=(1,)))
                left = int(torch.randint(0, width - w + 1, size=(1,)))
                return left, top, w, h
        # A part that fits has not been found: the largest one in the middle.
        ratio = min(max(width / height, RATIO[0]), RATIO[1])
        w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True)
class ImageJitter:
    """Changes each property by a factor drawn uniformly from 1 ± its strength, one after the other."""

    strengths: Mapping[Strength, float]

    def __call__(self, image: Image.Image) -> Image.Image:
        for name, strength in self.strengths.items():
            factor = 1 + strength * (2 * torch.rand(()).item() - 1)
            image = getattr(ImageEnhance, name)(image).enhance(max(0.0, factor))
        return image


class RandomHorizontalFlip:
    """Mirrors every other image."""

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if torch.rand(1) < 0.5 else image


@dataclass(frozen=True)
class PixelTransforms:
    """Applies transforms of an image, and returns its pixels as a uint8 tensor (3, H, W)."""

    transforms: tuple[PixelTransform, ...]

    def __call__(self, image: Image.Image) -> torch.Tensor:
        for transform in self.transforms:
            image = transform(image)
        return as_pixels(image)


def image_transform(params: TransformParams) -> ImageTransform:
    """Make the transform of a PIL image to a uint8 tensor (3, H, W) that the list names, without ``Normalize``."""
    size, scale = params.image_size or 0, params.scale or 0
    known: dict[str, PixelTransform] = {
        "RandomSizedCrop": RandomSizedCrop(size),
        "CenterCrop": CenterCrop(size),
        "Scale": Scale(scale),
        "ImageJitter": ImageJitter(params.jitter_params or {}),
        "RandomHorizontalFlip": RandomHorizontalFlip(),
    }
    return PixelTransforms(tuple(known[name] for name in params.transform_list if name in known))


def normalisation(params: TransformParams) -> Normalize:
    """The normalisation of a batch, as ``ToTensor`` and ``Normalize`` do it: divide by 255, then shift and scale."""
    if "Normalize" in params.transform_list:
        return Normalize(params.mean or (), params.std or ())
    return Normalize((0, 0, 0), (1, 1, 1))
