"""Resizing, cropping and padding of PIL images: the pixels of torchvision's transforms of such images, without it.

Importing torchvision takes longer than recognising a photo; a program that only asks a network needs no more than this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}
"""torchvision's names of interpolations."""


def shorter_side_resized(image: Image.Image, side: int, interpolation: str = "bilinear") -> Image.Image:
    """Resize an image so that its shorter side has ``side`` pixels; the longer one is rounded down."""
    width, height = image.size
    long = int(side * max(width, height) / min(width, height))
    return resized(image, (long, side) if width <= height else (side, long), interpolation)


def resized(image: Image.Image, size: tuple[int, int], interpolation: str = "bilinear") -> Image.Image:
    """Resize an image to a height and a width."""
    height, width = size
    if image.size == (width, height):
        return image
    return image.resize((width, height), RESAMPLING[interpolation])


def padded(image: Image.Image, size: tuple[int, int], fill: Sequence[int] = (0, 0, 0)) -> Image.Image:
    """Put an image in the middle of one that has at least a height and a width."""
    height, width = max(size[0], image.height), max(size[1], image.width)
    if image.size == (width, height):
        return image
    around = Image.new("RGB", (width, height), tuple(fill))
    around.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return around


def centre_cropped(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Cut a height and a width out of the middle; black stands where the image does not reach."""
    image = padded(image, size)
    height, width = size
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def as_pixels(image: Image.Image) -> torch.Tensor:
    """The pixels (3, H, W) uint8 of an RGB image."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
