"""A data set in one line: its classes, its images, and the files that were left out or added."""

from __future__ import annotations

from collections.abc import Mapping

from lowshot.data.base import ImageDataset
from lowshot.data.duplicates import shared_pictures


def summary(name: str, train: ImageDataset, test: ImageDataset, unreadable: int = 0) -> str:
    """The line about both parts of a data set.

    Args:
        name (str): What the line calls the data set.
        train (ImageDataset): The training part.
        test (ImageDataset): The test part.
        unreadable (int): The number of images that cannot be read and are left out of the parts.

    Returns:
        Such as ``photos: 12 classes, 480 images (360 train, 120 test); left out: 3 .txt, 1 hidden, 2 unreadable``.
    """
    images = len(train) + len(test)
    line = f"{name}: {train.num_classes} classes, {images} images ({len(train)} train, {len(test)} test)"
    left_out = {**train.left_out, **({"unreadable": unreadable} if unreadable else {})}
    return line + _listed("; taken in: ", train.taken_in) + _listed("; left out: ", left_out)


def shared_line(name: str, train: ImageDataset, test: ImageDataset) -> str | None:
    """The line about pictures that are in both parts; None if there are none."""
    pairs = shared_pictures(train, test)
    if not len(pairs):
        return None
    first, second = pairs[0]
    return (
        f"{name}: {len(pairs)} test images are also training images, such as {test.paths[second]} = "
        f"{train.paths[first]}: accuracies on them say nothing about new images"
    )


def _listed(start: str, counts: Mapping[str, int]) -> str:
    return start + ", ".join(f"{count} {what}" for what, count in counts.items()) if counts else ""
