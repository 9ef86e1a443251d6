"""Views of an image by indexing: four corners and the centre of an array, and their mirror images."""

from __future__ import annotations

import numpy as np


def ten_crops(pixels: np.ndarray, height: int, width: int) -> list[np.ndarray]:
    """The ten crops (height, width, 3) of an image (h, w, 3) that is at least as large."""
    h, w = pixels.shape[:2]
    centre = round((h - height) / 2), round((w - width) / 2)
    places = [(0, 0), (0, w - width), (h - height, 0), (h - height, w - width), centre]
    crops = [pixels[top : top + height, left : left + width] for top, left in places]
    return crops + [crop[:, ::-1] for crop in crops]
