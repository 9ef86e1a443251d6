"""CIFAR-10 and CIFAR-100 as torchvision reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lowshot.data.base import ImageDataset
from lowshot.errors import InputError, LowshotError
from lowshot.registry import DATASETS


class CifarImages(ImageDataset):
    """Rows in torchvision's order. Pixels stay out of pickles: each process reads them on first use.

    torchvision's files are pickles; it opens them only after their MD5 digests match the published ones.
    """

    def __init__(self, name: str, root: str | Path, part: str, download: bool) -> None:
        self._source = (name, str(Path(root).resolve()), part == "train")
        cifar = _read(*self._source, download=download)
        names = cifar.classes
        paths = [f"{part}/{names[label]}/{row:05d}" for row, label in enumerate(cifar.targets)]
        super().__init__(paths, cifar.targets, names, options={"source": name})
        self._pixels: np.ndarray | None = cifar.data

    def _open(self, row: int) -> Image.Image:
        if self._pixels is None:
            self._pixels = _read(*self._source).data
        return Image.fromarray(self._pixels[row])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pixels": None}


@DATASETS.register("cifar10", "CIFAR-10 in torchvision's files: 60 000 images, 32 x 32, 10 classes")
def cifar10(root: str | Path, part: str = "train", *, download: bool = False) -> ImageDataset:
    """50 000 training and 10 000 test images (Krizhevsky 2009).

    Raises:
        InputError: the files are not under ``root`` and ``download`` is off.
    """
    return CifarImages("CIFAR10", root, part, download)


@DATASETS.register("cifar100", "CIFAR-100 in torchvision's files: 60 000 images, 32 x 32, 100 classes")
def cifar100(root: str | Path, part: str = "train", *, download: bool = False) -> ImageDataset:
    """50 000 training and 10 000 test images (Krizhevsky 2009). For a zip of images use ``image_zip``.

    Raises:
        InputError: the files are not under ``root`` and ``download`` is off.
    """
    return CifarImages("CIFAR100", root, part, download)


def _read(name: str, root: str, train: bool, download: bool = False) -> Any:
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
