"""Images listed in JSON files, in the format of the original's MetaDataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowshot.checks import check_count
from lowshot.data.base import ImageDataset, ImageFiles
from lowshot.data.decode import MAX_PIXELS
from lowshot.data.holdout import TestPerClass, holdout
from lowshot.data.listing import require_folder
from lowshot.errors import InputError
from lowshot.files import is_file, read_json
from lowshot.registry import DATASETS

MOST_CLASSES = 1_000_000
"""The largest number of classes: each gets a name, even where no image has its label."""


@dataclass(frozen=True)
class ImageList:
    """The content of one JSON file with N images.

    Attributes:
        file (Path): The file.
        names (list of N str): The paths of the images.
        labels (int64, (N,)): The labels of the images.
        label_names (list of str, or None): The names of all labels, if the file states them.
        num_classes (int): The size of the label space, as far as the file shows it.
    """

    file: Path
    names: list[str]
    labels: np.ndarray
    label_names: list[str] | None
    num_classes: int


@DATASETS.register("json_list", "JSON lists of image_names and image_labels, with the images under a root folder")
def json_list(
    root: str | Path,
    part: str = "train",
    *,
    train_list: str | Path | None = None,
    test_list: str | Path | None = None,
    image_root: str | Path | None = None,
    num_classes: int | None = None,
    test_per_class: TestPerClass | None = None,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
    decode_size: int | None = None,
) -> ImageDataset:
    """Open the images of the original's MetaDataset, which lists ``image_names`` (paths) and ``image_labels``.

    A list may also have ``label_names`` and ``num_classes``. Labels are used as they are; the label space is the
    largest that the lists and ``num_classes`` state, so that train and test agree on it.

    Args:
        root (str or Path): The folder that the lists are in, or the training list itself.
        part (str): ``"train"`` or ``"test"``.
        train_list (str or Path): The training list, relative to ``root``; ``train.json`` by default.
        test_list (str or Path): The test list, relative to ``root``; by default ``test.json``, if there is one.
        image_root (str or Path): The folder that image names are relative to; ``root`` by default.
        num_classes (int): The size of the label space, if the lists do not show it.
        test_per_class (int or "auto"): The number of images of each class to hold out, if there is no test list; "auto"
            takes the test list if there is one, and else half of each class.
        seed (int): The seed of that holdout.
        max_pixels (int): The most pixels that an image may have, see :class:`lowshot.data.ImageDataset`.
        decode_size (int or None): The size that large images may be reduced to while they are decoded, see there.

    Raises:
        InputError: A file or key is missing, lengths differ, a label is no integer from 0 on, or the two lists name
            classes differently. A missing image is an error only when it is loaded.
    """
    folder = Path(root)
    if is_file(folder) or folder.suffix == ".json":
        folder, train_list = folder.parent, train_list or folder.name
    images = Path(image_root) if image_root is not None else folder
    for needed in (folder, images):
        require_folder(needed)
    lists = {"train": read_list(folder / (train_list or "train.json"))}
    if test_list is not None or is_file(folder / "test.json"):
        lists["test"] = read_list(folder / (test_list or "test.json"))
    names = _class_names(list(lists.values()), num_classes)
    chosen = lists.get(part, lists["train"])
    rows = np.arange(len(chosen.names))
    if test_per_class not in (None, "auto") and "test" in lists:
        raise InputError(
            f"{lists['test'].file} is a test list already: leave test_per_class out (data.options.test_per_class=null)"
        )
    if test_per_class is not None and "test" not in lists:
        rows = holdout(chosen.labels, names, part, test_per_class, seed, chosen.names)
    elif part not in lists:
        raise InputError(
            f"{folder} has no test.json: name a test_list with data.options.test_list, or hold images out with "
            "data.options.test_per_class=auto"
        )
    paths = [chosen.names[row] for row in rows]
    return ImageFiles(
        images,
        paths,
        chosen.labels[rows],
        names,
        listed_in=chosen.file,
        listed=chosen.names,
        max_pixels=max_pixels,
        decode_size=decode_size,
    )


def read_list(file: Path) -> ImageList:
    """Read and check one list.

    Raises:
        InputError: The file is missing, not JSON, or not such a list.
    """
    value = read_json(file, "image list")
    if not isinstance(value, dict):
        raise InputError(f"image list {file} holds a {type(value).__name__}: expected an object")
    for key in ("image_names", "image_labels"):
        if not isinstance(value.get(key), list):
            raise InputError(f"image list {file} needs the key {key!r} with a list")
    paths, labels = value["image_names"], value["image_labels"]
    if not paths:
        raise InputError(f"image list {file} lists no images")
    if len(paths) != len(labels):
        raise InputError(f"image list {file} has {len(paths)} image_names but {len(labels)} image_labels")
    for row, (path, label) in enumerate(zip(paths, labels)):
        if not isinstance(path, str) or not path:
            raise InputError(f"image list {file}, row {row}: image name {path!r} is not a path")
        if type(label) is not int or label < 0:
            raise InputError(f"image list {file}, row {row} ({path}): label {label!r} is not an integer from 0 on")
        if label >= MOST_CLASSES:
            raise InputError(
                f"image list {file}, row {row} ({path}): label {label} is too large. Number the classes from 0: there "
                f"can be at most {MOST_CLASSES} classes"
            )
    label_names = value.get("label_names")
    if label_names is not None and not (isinstance(label_names, list) and all(isinstance(n, str) for n in label_names)):
        raise InputError(f"image list {file}: label_names must be a list of strings")
    if "num_classes" in value:
        check_count(f"image list {file}: num_classes", value["num_classes"], most=MOST_CLASSES)
    stated = max(value.get("num_classes", 0), len(label_names or ()))
    if stated and max(labels) >= stated:
        row = int(np.argmax(labels))
        raise InputError(f"image list {file}, row {row} ({paths[row]}): label {labels[row]} is outside 0..{stated - 1}")
    return ImageList(file, paths, np.array(labels, dtype=np.int64), label_names, max(stated, max(labels) + 1))


def _class_names(lists: list[ImageList], num_classes: int | None) -> list[str]:
    if num_classes is not None:
        check_count("num_classes", num_classes, most=MOST_CLASSES)
    size = max(found.num_classes for found in lists)
    if num_classes is not None and size > num_classes:
        raise InputError(f"num_classes is {num_classes}, but {lists[0].file} and its test list need {size}")
    named = [found for found in lists if found.label_names is not None]
    for other in named[1:]:
        if other.label_names != named[0].label_names:
            raise InputError(f"{named[0].file} and {other.file} have different label_names")
    names = named[0].label_names if named else None
    size = max(size, num_classes or 0)
    if names is not None and len(names) != size:
        raise InputError(f"{named[0].file} has {len(names)} label_names for {size} classes")
    return names or [str(label) for label in range(size)]
