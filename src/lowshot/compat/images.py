"""Images as the original opens them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lowshot.data import ImageDataset
from lowshot.data.decode import decode


class AsStored(ImageDataset):
    """The rows of another data set, whose images are opened as they lie in their files.

    :mod:`lowshot.data` turns photographs upright and lays transparent pixels on white. The original does neither: an
    EXIF rotation is not applied, and an alpha channel is dropped, whatever colours it hides.

    Args:
        images (ImageDataset): The data set.
    """

    def __init__(self, images: ImageDataset) -> None:
        super().__init__(
            images.paths,
            images.labels,
            images.class_names,
            options={**images.options, "as stored": True},
            max_pixels=images.max_pixels,
            decode_size=images.decode_size,
        )
        self._images = images

    def _marks(self) -> np.ndarray:
        return self._images.content

    def _open(self, row: int) -> Image.Image:
        source = self._images._open(row)
        if isinstance(source, Image.Image):
            return source
        with source:
            return decode(source, self.paths[row], self.max_pixels, self.decode_size, as_stored=True)
