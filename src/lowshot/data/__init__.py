"""Labelled images and their batches: data sets, class splits, experiments, transforms and loaders.

Importing this package does not import torch; the names that need it (transforms and loaders) are imported on first use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.data.base import ImageDataset, ImageFiles
from lowshot.data.decode import BadImageError
from lowshot.data.experiments import Experiments
from lowshot.data.options import with_home
from lowshot.data.splits import ClassSplit, Setup
from lowshot.errors import InputError
from lowshot.lazy import on_first_use
from lowshot.registry import DATASETS

if TYPE_CHECKING:
    from lowshot.data.loading import ImageLoader, RowOrder, TransformedDataset, make_loader
    from lowshot.data.preprocessing import Preprocessing
    from lowshot.data.transforms import PRESETS, Normalize, Transforms, build_transforms
    from lowshot.data.verify import SkippedImage, drop_bad_images


__all__ = [
    "BadImageError",
    "ClassSplit",
    "Experiments",
    "ImageDataset",
    "ImageFiles",
    "ImageLoader",
    "Normalize",
    "PRESETS",
    "Preprocessing",
    "RowOrder",
    "Setup",
    "SkippedImage",
    "TransformedDataset",
    "Transforms",
    "build_dataset",
    "build_transforms",
    "drop_bad_images",
    "make_loader",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "loading": ("ImageLoader", "RowOrder", "TransformedDataset", "make_loader"),
        "preprocessing": ("Preprocessing",),
        "transforms": ("PRESETS", "Normalize", "Transforms", "build_transforms"),
        "verify": ("SkippedImage", "drop_bad_images"),
    },
)


def build_dataset(name: str, part: str = "train", root: str | Path | None = None, **options: Any) -> ImageDataset:
    """Build the data set registered as ``name``.

    Args:
        name (str): A name that ``lowshot list`` prints, such as ``"image_folder"``; ``"auto"`` chooses by ``root``.
        part (str): ``"train"`` (shots and training images) or ``"test"`` (queries).
        root (str or Path): The folder or file that holds the images; None for data sets that need no files.
        options (dict): The parameters of that data set.

    Returns:
        The data set.

    Raises:
        InputError: The name, part or an option is unknown, or the files are not what the data set needs.
    """
    if part not in ("train", "test"):
        raise InputError(f"part {part!r} of a data set: expected 'train' or 'test'")
    options = with_home(options)
    if root is not None:
        options["root"] = Path(root).expanduser()
    elif (needed := DATASETS.parameters(name).get("root")) is not None and needed.default is needed.empty:
        raise InputError(f"data set {name!r} needs a root: the folder or file that its images are in")
    return DATASETS.build(name, part=part, **options)
