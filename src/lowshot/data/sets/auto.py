"""Chooses a data set by what its root is."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from lowshot.data.base import ImageDataset
from lowshot.errors import InputError
from lowshot.registry import DATASETS


@DATASETS.register("auto", "image folder, zip or JSON list, whichever the root is")
def auto(root: str | Path, part: str = "train", **options: Any) -> ImageDataset:
    """``image_folder``, ``image_zip`` or ``json_list``; the options are those of the one chosen.

    Raises:
        InputError: nothing is at ``root``, or it is none of the three.
    """
    return DATASETS.build(kind_of(Path(root), options), root=root, part=part, **options)


def kind_of(root: Path, options: dict[str, Any]) -> str:
    """The name of the data set that ``root`` is."""
    if root.is_dir():
        listed = "train_list" in options or (root / "train.json").is_file()
        return "json_list" if listed else "image_folder"
    if not root.exists():
        raise InputError(f"data root {root} does not exist")
    if root.suffix.lower() == ".json":
        return "json_list"
    if root.suffix.lower() == ".zip" or zipfile.is_zipfile(root):
        return "image_zip"
    raise InputError(f"data root {root} is neither a folder, a zip nor a JSON list")
