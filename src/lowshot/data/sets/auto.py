"""Choose a data set by what its root is."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from lowshot.data.base import ImageDataset
from lowshot.errors import InputError
from lowshot.files import exists, is_file, is_folder
from lowshot.registry import DATASETS


@DATASETS.register("auto", "image folder, zip, JSON or CSV list, whichever the root is")
def auto(root: str | Path, part: str = "train", **options: Any) -> ImageDataset:
    """Open ``root`` as ``image_folder``, ``image_zip``, ``json_list`` or ``csv_list``.

    Args:
        root (str or Path): The folder, zip, JSON or CSV list.
        part (str): ``"train"`` or ``"test"``.
        options (dict): The options of the chosen data set.

    Raises:
        InputError: There is nothing at ``root``, or it is none of the four.
    """
    return DATASETS.build(_name_of(Path(root), options), root=root, part=part, **options)


def _name_of(root: Path, options: dict[str, Any]) -> str:
    """The registered name of the data set at ``root``."""
    if is_folder(root):
        listed = "train_list" in options or is_file(root / "train.json")
        return "json_list" if listed else "image_folder"
    if not exists(root):
        raise InputError(f"data root {root} does not exist")
    if not is_file(root):
        raise InputError(f"data root {root} is neither a folder nor a regular file")
    if root.suffix.lower() == ".json":
        return "json_list"
    if root.suffix.lower() in (".csv", ".tsv"):
        return "csv_list"
    if root.suffix.lower() == ".zip" or zipfile.is_zipfile(root):
        return "image_zip"
    raise InputError(f"data root {root} is neither a folder, a zip nor a JSON list, nor a CSV list (.csv, .tsv)")
