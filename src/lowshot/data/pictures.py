"""Resizing, cropping and padding of PIL images: the pixels of torchvision's transforms of such images, without it.

Importing torchvision takes longer than recognising a photo; a program that only asks a network needs no more than this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch

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
    """Resize an image to ``size``, a height and a width in pixels."""
    height, width = size
    if image.size == (width, height):
        return image
    return image.resize((width, height), RESAMPLING[interpolation])


def padded(image: Image.Image, size: tuple[int, int], fill: Sequence[int] = (0, 0, 0)) -> Image.Image:
    """Put an image in the middle of one of at least ``size``, height and width; the rest has the colour ``fill``."""
    height, width = max(size[0], image.height), max(size[1], image.width)
    if image.size == (width, height):
        return image
    around = Image.new("RGB", (width, height), tuple(fill))
    around.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return around


def centre_cropped(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Cut a height and a width out of the middle; black fills what the image does not cover."""
    image = padded(image, size)
    height, width = size
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def scaled(image: Image.Image, size: tuple[int, int], crop_mode: str, interpolation: str) -> Image.Image:
    """Resize an image before its crop, as :class:`~lowshot.data.preprocessing.Preprocessing` describes it.

    Args:
        image (Image): The image.
        size (two int): The height and width that ``crop_mode`` refers to.
        crop_mode (str): ``"center"``, ``"squash"`` or ``"border"``.
        interpolation (str): A key of ``RESAMPLING``.
    """
    height, width = size
    if crop_mode == "center" and height == width:
        return shorter_side_resized(image, height, interpolation)
    if crop_mode != "squash":
        ratios = (image.height / height, image.width / width)
        ratio = max(ratios) if crop_mode == "border" else min(ratios)
        height, width = max(1, round(image.height / ratio)), max(1, round(image.width / ratio))
    return resized(image, (height, width), interpolation)


def cropped(image: Image.Image, size: tuple[int, int], crop_mode: str, mean: Sequence[float]) -> Image.Image:
    """Cut the centre out of a scaled image; in mode ``"border"`` the mean colour fills what it does not cover."""
    if crop_mode == "border":
        image = padded(image, size, [round(255 * value) for value in mean])
    return centre_cropped(image, size)


def as_pixels(image: Image.Image) -> torch.Tensor:
    """The pixels (3, H, W) uint8 of an RGB image."""
    import torch  # here, not above: an exported recogniser is asked without it

    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
