"""Photos as the pixels that an exported recogniser takes, with Pillow and NumPy alone.

They are those of :class:`lowshot.data.preprocessing.Preprocessing`, to the last of the 256 levels.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

Side = Annotated[int, Field(ge=1, le=16384)]
Positive = Annotated[float, Field(gt=0)]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}


class PixelSettings(BaseModel):
    """The resizing and cropping of photos; the attributes are those of ``Preprocessing``.

    Attributes:
        size (two int): The height and width of the pixels.
        resize (two int): The height and width before the crop.
        crop_mode (str): ``"center"``, ``"squash"`` or ``"border"``.
        interpolation (str): The interpolation of Pillow.
        mean (three float): The mean of each channel, on the 0..1 scale; it is in the graph, and fills a border.
        std (three float): The standard deviation of each channel, on the 0..1 scale; it is in the graph.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    size: tuple[Side, Side]
    resize: tuple[Side, Side]
    crop_mode: Literal["center", "squash", "border"]
    interpolation: Literal["nearest", "nearest-exact", "bilinear", "bicubic", "box", "hamming", "lanczos"]
    mean: tuple[float, float, float]
    std: tuple[Positive, Positive, Positive]


def pixels_of(image: Image.Image, settings: PixelSettings) -> np.ndarray:
    """(H, W, 3) uint8 pixels of an RGB image of any size."""
    return np.asarray(_cropped(_scaled(image, settings), settings))


def _scaled(image: Image.Image, settings: PixelSettings) -> Image.Image:
    height, width = settings.resize
    if settings.crop_mode == "center" and height == width:
        # The shorter side; the longer one is rounded down.
        short, long = sorted((image.width, image.height))
        longer = int(height * long / short)
        width, height = (height, longer) if image.width <= image.height else (longer, height)
    elif settings.crop_mode != "squash":
        ratios = image.height / height, image.width / width
        ratio = max(ratios) if settings.crop_mode == "border" else min(ratios)
        height, width = max(1, round(image.height / ratio)), max(1, round(image.width / ratio))
    if (width, height) == image.size:
        return image
    return image.resize((width, height), _RESAMPLING[settings.interpolation])


def _cropped(image: Image.Image, settings: PixelSettings) -> Image.Image:
    height, width = settings.size
    if settings.crop_mode == "border" and (image.height < height or image.width < width):
        fill = tuple(round(255 * value) for value in settings.mean)
        whole = Image.new("RGB", (max(width, image.width), max(height, image.height)), fill)
        whole.paste(image, (max(0, width - image.width) // 2, max(0, height - image.height) // 2))
        image = whole
    left, top = _start(image.width, width), _start(image.height, height)
    return image.crop((left, top, left + width, top + height))  # beyond the image it is black


def _start(length: int, wanted: int) -> int:
    return -((wanted - length) // 2) if wanted > length else round((length - wanted) / 2)
