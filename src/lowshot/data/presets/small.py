"""The preset for small images at their native size, as CIFAR networks are trained and tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from lowshot.checks import check_choice, check_count
from lowshot.data.transforms import PRESETS, Normalize, Transforms
from lowshot.errors import InputError

PADDING_MODES = ("constant", "reflect", "edge", "symmetric")


@dataclass(frozen=True)
class Fit:
    """The image as a square tensor; an image of another size is resized and cropped in the middle.

    Attributes:
        size (int): The side of the square in pixels.
        padding (int): The number of pixels on each side of the image that crops are taken from, where features are the
            mean of several crops.
        padding_mode (str): The content of the padding.
    """

    size: int
    padding: int
    padding_mode: str

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return F.pil_to_tensor(self.resize(image))

    def resize(self, image: Image.Image) -> Image.Image:
        """Return the square as an image."""
        if image.size == (self.size, self.size):
            return image
        return F.center_crop(F.resize(image, [self.size]), [self.size])

    @property
    def crop_size(self) -> tuple[int, int] | None:
        """The height and width of a crop of :meth:`before_crop`; None without padding, where all crops are the same."""
        return (self.size, self.size) if self.padding else None

    @property
    def crop_settings(self) -> dict[str, Any]:
        """The settings that matter to crops alone."""
        return {"padding": self.padding, "padding_mode": self.padding_mode}

    def before_crop(self, image: Image.Image) -> torch.Tensor:
        """Return the padded square, whose crops are those that training sees, as (3, h, w) uint8."""
        pixels = F.pil_to_tensor(self.resize(image))
        return F.pad(pixels, [self.padding], padding_mode=self.padding_mode)


@dataclass(frozen=True)
class ShiftFlip(Fit):
    """A random crop of the padded image, mirrored half of the time.

    The functional calls on PIL images take a third of the time of a chain of transform objects, which for 32 × 32
    pixels would take longer than decoding.

    Attributes:
        flip (bool): True mirrors half of the images.
    """

    flip: bool

    def __call__(self, image: Image.Image) -> torch.Tensor:
        image = self.resize(image)
        down, right = torch.randint(-self.padding, self.padding + 1, (2,)).tolist()
        if self.padding_mode == "constant":
            image = F.crop(image, down, right, self.size, self.size)  # what lies outside is zero
        else:
            padded = F.pad(image, [self.padding], padding_mode=self.padding_mode)
            image = F.crop(padded, self.padding + down, self.padding + right, self.size, self.size)
        if self.flip and torch.rand(()).item() < 0.5:
            image = F.horizontal_flip(image)
        return F.pil_to_tensor(image)


@PRESETS.register("small", "padded random crop and flip at native size; tested as they are")
def small(
    image_size: int = 32,
    padding: int = 4,
    padding_mode: str = "constant",
    flip: bool = True,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.25, 0.25, 0.25),
) -> Transforms:
    """Make the usual CIFAR augmentation (He et al., arXiv 1512.03385, section 4.2).

    Args:
        image_size (int): The native side in pixels. Images of another size are resized and cropped to it first.
        padding (int): The number of pixels on each side, which is the largest shift; views of several crops
            (``extract.views``) are shifted as far.
        padding_mode (str): ``"constant"`` (zero, the usual one), ``"reflect"``, ``"edge"`` or ``"symmetric"``.
        flip (bool): True mirrors half of the training images; False is for images whose mirror image means something
            else, such as characters.
        mean (three float): The mean of each channel, on the 0..1 scale.
        std (three float): The standard deviation of each channel, on the 0..1 scale.

    Raises:
        InputError: A value is out of range.
    """
    check_count("padding", padding, least=0)
    check_choice("padding_mode", padding_mode, PADDING_MODES)
    if padding >= image_size:
        raise InputError(f"padding {padding} is not below image_size {image_size}")
    train = ShiftFlip(image_size, padding, padding_mode, flip)
    return Transforms(train, Fit(image_size, padding, padding_mode), Normalize(mean, std))
