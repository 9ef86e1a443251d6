"""What every data set of labelled images offers: rows with identities, labels and pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from lowshot.data.decode import MAX_PIXELS, BadImageError, decode, to_rgb
from lowshot.errors import InputError
from lowshot.files import fingerprint


class ImageDataset:
    """A map-style data set of labelled images; needs no torch.

    A subclass calls this constructor and implements :meth:`_open`. It must pickle to worker processes without its
    images: whatever holds pixels or file handles is opened on first use, in each process.

    Args:
        paths: N identities, relative to the data set's root, with ``/``; their order is the row order.
        labels: (N,) integers that index ``class_names``.
        class_names: C names. A class may have no row here (a subset, a test part).
        content: (N,) integers that change with an image's content, such as file sizes or checksums.
        options: JSON-like settings that change the pixels; they enter the fingerprint.
        max_pixels: larger images are refused before they are decoded.
        decode_size: shortest side that large JPEGs must keep when decoded; ``None`` decodes at full size.

    Attributes:
        paths: list of N str.
        labels: (N,) int64.
        class_names: list of C str.

    Raises:
        InputError: lengths differ, or a label is outside ``class_names``.
    """

    def __init__(
        self,
        paths: Sequence[str],
        labels: Sequence[int] | np.ndarray,
        class_names: Sequence[str],
        *,
        content: Sequence[int] | np.ndarray | None = None,
        options: Mapping[str, Any] | None = None,
        max_pixels: int = MAX_PIXELS,
        decode_size: int | None = None,
    ) -> None:
        self.paths = list(paths)
        self.labels = np.asarray(labels, dtype=np.int64).reshape(-1)
        self.class_names = [str(name) for name in class_names]
        self.content = np.zeros(len(self.paths), np.int64) if content is None else np.asarray(content, np.int64)
        self.options = dict(options or {})
        self.max_pixels = max_pixels
        self.decode_size = decode_size
        if not len(self.paths) == len(self.labels) == len(self.content):
            raise InputError(
                f"{len(self.paths)} images, {len(self.labels)} labels and {len(self.content)} content marks: "
                "each image needs one of each"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < self.num_classes:
            row = int(np.flatnonzero((self.labels < 0) | (self.labels >= self.num_classes))[0])
            raise InputError(
                f"image {self.paths[row]} (row {row}) has label {self.labels[row]}, "
                f"outside 0..{self.num_classes - 1}, the classes of the data set"
            )

    @property
    def num_classes(self) -> int:
        """C, the size of the label space, whether or not every class has an image here."""
        return len(self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of paths, labels, content marks, class names and pixel options; the same on any machine."""
        options = {**self.options, "decode_size": self.decode_size}
        return fingerprint(self.paths, self.labels, self.content, self.class_names, options)

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} images of {self.num_classes} classes>"

    def load(self, row: int) -> Image.Image:
        """The image of a row as RGB.

        Raises:
            BadImageError: it is missing, damaged or too large; the message names it.
        """
        try:
            source = self._open(row)
        except OSError as error:
            raise BadImageError(f"image {self.paths[row]} cannot be read: {error.strerror or error}") from None
        if isinstance(source, Image.Image):
            return to_rgb(source, self.paths[row])
        with source:
            return decode(source, self.paths[row], self.max_pixels, self.decode_size)

    def subset(self, rows: Sequence[int] | np.ndarray) -> ImageDataset:
        """A view of some rows, in the order given; the label space stays.

        Raises:
            InputError: a row is outside 0..N-1.
        """
        return Subset(self, rows)

    def of_classes(self, classes: Sequence[int] | np.ndarray) -> ImageDataset:
        """A view of all rows of some classes, in row order; labels keep their values.

        Raises:
            InputError: a class is outside 0..C-1.
        """
        wanted = np.zeros(self.num_classes, dtype=bool)
        wanted[_checked(classes, self.num_classes, "class")] = True
        return self.subset(np.flatnonzero(wanted[self.labels]))

    def _open(self, row: int) -> BinaryIO | Image.Image:
        """The encoded image of a row as a binary file, which the caller closes, or an image ready in memory.

        May raise OSError where the image cannot be reached. Called from several threads and processes.
        """
        raise NotImplementedError


class Subset(ImageDataset):
    """Some rows of another data set. It stands on the whole one, so views of views do not pile up."""

    def __init__(self, dataset: ImageDataset, rows: Sequence[int] | np.ndarray) -> None:
        chosen = _checked(rows, len(dataset), "row")
        super().__init__(
            [dataset.paths[row] for row in chosen.tolist()],
            dataset.labels[chosen],
            dataset.class_names,
            content=dataset.content[chosen],
            options=dataset.options,
            max_pixels=dataset.max_pixels,
            decode_size=dataset.decode_size,
        )
        self._whole: ImageDataset = dataset._whole if isinstance(dataset, Subset) else dataset
        self._rows: np.ndarray = dataset._rows[chosen] if isinstance(dataset, Subset) else chosen

    def _open(self, row: int) -> BinaryIO | Image.Image:
        return self._whole._open(int(self._rows[row]))


def _checked(values: Sequence[int] | np.ndarray, size: int, what: str) -> np.ndarray:
    """``values`` as (n,) int64 indices into ``size`` things."""
    indices = np.asarray(values, dtype=np.int64).reshape(-1)
    if len(outside := indices[(indices < 0) | (indices >= size)]):
        raise InputError(f"{what} {outside[0]} is outside 0..{size - 1}, what the data set has")
    return indices
