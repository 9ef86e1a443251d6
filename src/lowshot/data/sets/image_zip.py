"""A zip of an image folder, read in place without unpacking it to disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from lowshot.data.archive import ZipReader, open_zip
from lowshot.data.base import ImageDataset
from lowshot.data.decode import MAX_PIXELS, BadImageError
from lowshot.data.holdout import TestPerClass
from lowshot.data.parts import Layout
from lowshot.data.tree import Table, image_table
from lowshot.registry import DATASETS


class ZippedImages(ImageDataset):
    """The rows of ``table``, read from members of a zip."""

    def __init__(self, reader: ZipReader, table: Table, max_pixels: int, decode_size: int | None) -> None:
        super().__init__(
            table.paths,
            table.labels,
            table.class_names,
            content=table.content,
            max_pixels=max_pixels,
            decode_size=decode_size,
            left_out=table.left_out,
            taken_in=table.taken_in,
        )
        self._reader = reader
        self._members = table.files

    def _open(self, row: int) -> BinaryIO:
        member = int(self._members[row])
        # The directory states the unpacked size, so a decompression bomb is refused before it unpacks.
        if self._reader.sizes[member] > self.max_bytes:
            raise BadImageError(
                f"image {self.paths[row]} unpacks to {self._reader.sizes[member]} bytes, more than an image of "
                f"max_pixels {self.max_pixels} can have: it may be a decompression bomb"
            )
        return io.BytesIO(self._reader.read(member, self.max_bytes))


@DATASETS.register("image_zip", "zip of such a folder, read in place")
def image_zip(
    root: str | Path,
    part: str = "train",
    *,
    class_depth: int = 1,
    train_folder: str | None = None,
    test_folder: str | None = None,
    test_per_class: TestPerClass | None = None,
    seed: int = 0,
    prefix: str | None = None,
    max_pixels: int = MAX_PIXELS,
    decode_size: int | None = None,
) -> ImageDataset:
    """Open a zip with a folder of images per class; parameters, rows and labels are those of ``image_folder``.

    Raises:
        InputError: The zip is refused by :func:`lowshot.data.archive.open_zip`, or its tree by
            :func:`lowshot.data.tree.image_table`.
    """
    layout = Layout(class_depth, train_folder, test_folder, test_per_class, seed, prefix)
    listing, reader = open_zip(root)
    return ZippedImages(reader, image_table(listing, part, layout), max_pixels, decode_size)
