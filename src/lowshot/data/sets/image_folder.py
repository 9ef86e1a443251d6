"""A folder of images on disk."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from lowshot.data.base import ImageDataset
from lowshot.data.decode import MAX_PIXELS
from lowshot.data.listing import Listing, list_folder
from lowshot.data.tree import Layout, Table, image_table
from lowshot.registry import DATASETS


class FolderImages(ImageDataset):
    """The rows of ``table``, read from files under ``root``."""

    def __init__(self, root: Path, listing: Listing, table: Table, max_pixels: int, decode_size: int | None) -> None:
        super().__init__(
            table.paths,
            table.labels,
            table.class_names,
            content=[listing.content[file] for file in table.files],
            max_pixels=max_pixels,
            decode_size=decode_size,
        )
        self._root = root / table.prefix

    def _open(self, row: int) -> BinaryIO:
        return open(self._root / self.paths[row], "rb")


@DATASETS.register("image_folder", "folder of images, a folder a class: [train|test]/CLASS/IMAGE")
def image_folder(
    root: str | Path,
    part: str = "train",
    *,
    class_depth: int = 1,
    train_folder: str | None = None,
    test_folder: str | None = None,
    test_per_class: int | None = None,
    seed: int = 0,
    prefix: str | None = None,
    max_pixels: int = MAX_PIXELS,
    decode_size: int | None = None,
) -> ImageDataset:
    """Images in class folders; the layout options are those of :class:`lowshot.data.tree.Layout`.

    ImageNet as it is usually unpacked is ``image_folder`` with ``test_folder="val"``.

    Raises:
        InputError: see :func:`lowshot.data.tree.image_table`; the folder is missing or cannot be read.
    """
    layout = Layout(class_depth, train_folder, test_folder, test_per_class, seed, prefix)
    listing = list_folder(root)
    return FolderImages(Path(root).resolve(), listing, image_table(listing, part, layout), max_pixels, decode_size)
