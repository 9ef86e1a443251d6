"""CIFAR-10 and CIFAR-100, read by torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lowshot.data.base import ArrayImages, ImageDataset
from lowshot.errors import InputError, LowshotError
from lowshot.files import resolved
from lowshot.registry import DATASETS


class CifarImages(ArrayImages):
    """The rows of a CIFAR data set in torchvision's order.

    torchvision's files are pickles, which it opens only after their MD5 digests match the published ones.
    """

    def __init__(self, name: str, root: str | Path, part: str, download: bool) -> None:
        self._source = (name, str(resolved(root)), part == "train")
        cifar = _open_cifar(*self._source, download=download)
        names = cifar.classes
        paths = [f"{part}/{names[label]}/{row:05d}" for row, label in enumerate(cifar.targets)]
        super().__init__(paths, cifar.targets, names, options={"source": name})
        self._pixels = cifar.data

    def _read(self) -> np.ndarray:
        return _open_cifar(*self._source).data


BIBTEX = """
@techreport{krizhevsky2009learning,
  author = {Krizhevsky, Alex},
  title = {Learning Multiple Layers of Features from Tiny Images},
  institution = {University of Toronto},
  year = {2009},
}
"""


@DATASETS.register("cifar10", "CIFAR-10 in torchvision's files: 60 000 images, 32 x 32, 10 classes", bibtex=BIBTEX)
def cifar10(root: str | Path, part: str = "train", *, download: bool = False) -> ImageDataset:
    """Open CIFAR-10: 50 000 training and 10 000 test images (Krizhevsky 2009).

    Args:
        root (str or Path): The folder with torchvision's files.
        part (str): ``"train"`` or ``"test"``.
        download (bool): True fetches missing files.

    Raises:
        InputError: The files are not under ``root`` and ``download`` is off.
        LowshotError: The files could not be fetched.
    """
    return CifarImages("CIFAR10", root, part, download)


@DATASETS.register("cifar100", "CIFAR-100 in torchvision's files: 60 000 images, 32 x 32, 100 classes", bibtex=BIBTEX)
def cifar100(root: str | Path, part: str = "train", *, download: bool = False) -> ImageDataset:
    """Open CIFAR-100: 50 000 training and 10 000 test images (Krizhevsky 2009).

    Parameters and errors are those of :func:`cifar10`. For a zip of images use ``image_zip``.
    """
    return CifarImages("CIFAR100", root, part, download)


def _open_cifar(name: str, root: str, train: bool, download: bool = False) -> Any:
    from torchvision import datasets

    try:
        return getattr(datasets, name)(root, train=train, download=download)
    except RuntimeError:
        source = getattr(datasets, name)
        raise InputError(
            f"{name} is not complete in {root}: put {source.base_folder}/ there (unpack {source.url}), "
            "or set download: true"
        ) from None
    except OSError as error:
        raise LowshotError(f"{name} could not be fetched to {root}: {error}") from error
