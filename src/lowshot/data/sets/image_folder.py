"""A folder of images on disk."""

from __future__ import annotations

from pathlib import Path

from lowshot.data.base import ImageDataset, ImageFiles
from lowshot.data.decode import MAX_PIXELS
from lowshot.data.holdout import TestPerClass
from lowshot.data.listing import list_folder
from lowshot.data.parts import Layout
from lowshot.data.tree import image_table
from lowshot.registry import DATASETS


@DATASETS.register("image_folder", "folder of images, a folder a class: [train|test]/CLASS/IMAGE")
def image_folder(
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
    """Open a folder with a folder of images per class.

    ImageNet as it is usually unpacked is ``image_folder`` with ``test_folder="val"``.

    Args:
        root (str or Path): The folder.
        part (str): ``"train"`` or ``"test"``.
        class_depth (int): The number of folders that name a class: 2 for ``ALPHABET/CHARACTER/image``.
        train_folder (str or None): The folder of the training part, see :class:`lowshot.data.parts.Layout`.
        test_folder (str or None): The folder of the test part, see there.
        test_per_class (int, "auto" or None): The number of images of each class to hold out as the test part, if the
            tree has no test folder, see there.
        seed (int): The seed of that holdout.
        prefix (str or None): The folder in which the tree starts; None descends as long as there is only one folder.
        max_pixels (int): The most pixels that an image may have, see :class:`lowshot.data.ImageDataset`.
        decode_size (int or None): The size that large images may be reduced to while they are decoded, see there.

    Raises:
        InputError: The folder is missing or cannot be read, or its tree is refused by
            :func:`lowshot.data.tree.image_table`.
    """
    layout = Layout(class_depth, train_folder, test_folder, test_per_class, seed, prefix)
    table = image_table(list_folder(root), part, layout)
    return ImageFiles(
        Path(root) / table.prefix,
        table.paths,
        table.labels,
        table.class_names,
        content=table.content,
        max_pixels=max_pixels,
        decode_size=decode_size,
        left_out=table.left_out,
        taken_in=table.taken_in,
    )
