"""LSUN's scene categories, from the LMDB files that its authors distribute."""

from __future__ import annotations

import functools
import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from lowshot.data.base import ImageDataset
from lowshot.data.decode import MAX_PIXELS
from lowshot.errors import InputError
from lowshot.files import resolved
from lowshot.registry import DATASETS

CATEGORIES = (
    "bedroom",
    "bridge",
    "church_outdoor",
    "classroom",
    "conference_room",
    "dining_room",
    "kitchen",
    "living_room",
    "restaurant",
    "tower",
)


class LsunImages(ImageDataset):
    """The images of some LSUN categories, sorted by category, then by key.

    A key is a hash of the image, so the paths, which end in the keys, change with the content. torchvision has LSUN as
    well, but caches its keys as a pickle in the working directory and unpickles any file of that name; hence the
    databases are read here.
    """

    def __init__(self, root: Path, part: str, categories: list[str], max_pixels: int, decode_size: int | None) -> None:
        suffix = "train" if part == "train" else "val"
        self._files = [root / f"{category}_{suffix}_lmdb" for category in categories]
        self._keys: list[bytes] = []
        labels: list[int] = []
        for label, file in enumerate(self._files):
            with _database(file).begin() as transaction:
                keys = list(transaction.cursor().iternext(keys=True, values=False))
            self._keys += keys
            labels += [label] * len(keys)
        paths = [f"{categories[label]}/{key.decode()}" for label, key in zip(labels, self._keys)]
        super().__init__(paths, labels, categories, max_pixels=max_pixels, decode_size=decode_size)

    def _open(self, row: int) -> BinaryIO:
        with _database(self._files[self.labels[row]]).begin() as transaction:
            return io.BytesIO(transaction.get(self._keys[row]))


BIBTEX = """
@misc{yu2015lsun,
  author = {Yu, Fisher and Seff, Ari and Zhang, Yinda and Song, Shuran and Funkhouser, Thomas and Xiao, Jianxiong},
  title = {{LSUN}: Construction of a Large-scale Image Dataset Using Deep Learning with Humans in the Loop},
  year = {2015},
  eprint = {1506.03365},
  archivePrefix = {arXiv},
}
"""


@DATASETS.register("lsun", "LSUN scenes (10 categories) in their LMDB files; needs the package lmdb", bibtex=BIBTEX)
def lsun(
    root: str | Path,
    part: str = "train",
    *,
    categories: list[str] | None = None,
    max_pixels: int = MAX_PIXELS,
    decode_size: int | None = None,
) -> ImageDataset:
    """Open LSUN (Yu et al., arXiv 1506.03365).

    Args:
        root (str or Path): The folder with the databases.
        part (str): ``"train"`` for ``CATEGORY_train_lmdb``, ``"test"`` for ``CATEGORY_val_lmdb`` (300 images each).
        categories (list of str): The categories to use; all ten by default.
        max_pixels (int): The most pixels that an image may have, see :class:`lowshot.data.ImageDataset`.
        decode_size (int or None): The size that large images may be reduced to while they are decoded, see there.

    Raises:
        InputError: A category is unknown, a database is missing, or the package lmdb is not installed.
    """
    chosen = list(categories) if categories is not None else list(CATEGORIES)
    if unknown := [category for category in chosen if category not in CATEGORIES]:
        raise InputError(f"LSUN has no category {unknown[0]!r}: it has {', '.join(CATEGORIES)}")
    return LsunImages(resolved(root), part, chosen, max_pixels, decode_size)


@functools.cache
def _database(file: Path) -> Any:
    try:
        import lmdb
    except ImportError:
        raise InputError("the data set lsun needs the package lmdb: pip install lmdb") from None
    try:
        return lmdb.open(str(file), readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise InputError(f"LSUN database {file} cannot be opened: {error}") from None


# A process may open an LMDB file once, and a forked process must not use what it inherited.
os.register_at_fork(before=_database.cache_clear)
