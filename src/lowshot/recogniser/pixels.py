"""Photos as the pixels that an exported recogniser takes, with Pillow and NumPy alone.

They are those of :class:`lowshot.data.preprocessing.Preprocessing`, to the last of the 256 levels.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from lowshot.data.pictures import cropped, scaled

Side = Annotated[int, Field(ge=1, le=16384)]
Positive = Annotated[float, Field(gt=0)]


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
    whole = scaled(image, settings.resize, settings.crop_mode, settings.interpolation)
    return np.asarray(cropped(whole, settings.size, settings.crop_mode, settings.mean))
