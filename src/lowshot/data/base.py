"""Data sets of labelled images: rows, each with a path, a label and pixels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from lowshot.contents import content_marks
from lowshot.data.decode import MAX_PIXELS, BadImageError, decode, open_checked, to_rgb
from lowshot.errors import InputError, first_few
from lowshot.files import fingerprint, open_regular, resolved


class ImageDataset:
    """A map-style data set of labelled images; needs no torch.

    A subclass calls this constructor and implements :meth:`_open`. It must pickle to worker processes without its
    images: whatever holds pixels or file handles is opened on first use, in each process.

    Args:
        paths (sequence of N str): The name of each image, relative to the data set's root, with ``/``. Their order is
            the row order.
        labels (integers, (N,)): The labels, which index ``class_names``.
        class_names (sequence of C str): The names of the classes. A class may have no row (in a subset or a test part).
        content (integers, (N,)): The numbers that change with the content of each image, such as checksums; by
            default those of :meth:`_marks`.
        options (mapping): The JSON-like settings that change the pixels. They enter the fingerprint.
        max_pixels (int): The largest size of an image; a larger one is refused before it is decoded.
        decode_size (int or None): The least side length that a large JPEG may be reduced to while it is decoded. None
            decodes at full size.
        left_out (mapping): The files beside the images that are none, by kind in words → their number.
        taken_in (mapping): What may surprise among the images, in words → their number.

    Attributes:
        paths (list of N str): The name of each image.
        labels (int64, (N,)): The labels.
        class_names (list of C str): The names of the classes.
        left_out (dict): The counts of what was left out beside the images.
        taken_in (dict): The counts of what was taken in among the images.

    Raises:
        InputError: Lengths differ, or a label is outside ``class_names``.
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
        left_out: Mapping[str, int] | None = None,
        taken_in: Mapping[str, int] | None = None,
    ) -> None:
        self.paths = list(paths)
        self.labels = np.asarray(labels, dtype=np.int64).reshape(-1)
        self.class_names = [str(name) for name in class_names]
        if content is not None:
            self.content = np.asarray(content, np.int64)
        self.options = dict(options or {})
        self.max_pixels = max_pixels
        self.decode_size = decode_size
        self.left_out = dict(left_out or {})
        self.taken_in = dict(taken_in or {})
        if len(self.paths) != len(self.labels) or len(self.paths) != len(self.paths if content is None else content):
            numbers = "" if content is None else f" and {len(content)} content numbers"
            raise InputError(
                f"{len(self.paths)} images, {len(self.labels)} labels{numbers}: each image needs one of each"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < self.num_classes:
            row = int(np.flatnonzero((self.labels < 0) | (self.labels >= self.num_classes))[0])
            raise InputError(
                f"image {self.paths[row]} (row {row}) has label {self.labels[row]}, "
                f"outside 0..{self.num_classes - 1}, the classes of the data set"
            )

    @property
    def num_classes(self) -> int:
        """C, the size of the label space, which may include classes without an image."""
        return len(self.class_names)

    @property
    def max_bytes(self) -> int:
        """The largest size of an encoded image in bytes: four per pixel, and 16 MiB of whatever else it carries."""
        return 4 * self.max_pixels + 2**24

    @cached_property
    def content(self) -> np.ndarray:
        """The numbers (N,) int64 that change with the content of each image, computed on first use."""
        return self._marks()

    @cached_property
    def fingerprint(self) -> str:
        """The digest of paths, labels, content, class names and options; the same on any machine."""
        options = {**self.options, "decode_size": self.decode_size}
        return fingerprint(self.paths, self.labels, self.content, self.class_names, options)

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} images of {self.num_classes} classes>"

    def load(self, row: int) -> Image.Image:
        """Load the image of a row as RGB.

        Raises:
            BadImageError: The image is missing, damaged or too large; the message names it.
        """
        source = self._opened(row)
        if isinstance(source, Image.Image):
            return to_rgb(source, self.paths[row])
        with source:
            return decode(source, self.paths[row], self.max_pixels, self.decode_size)

    def encoded(self, row: int) -> bytes | Image.Image:
        """The file of a row as it is, or its image where the data set has no files.

        Raises:
            BadImageError: The file is missing, cannot be read, or is larger than an image may be.
        """
        source = self._opened(row)
        if isinstance(source, Image.Image):
            return source
        with source:
            return source.read()

    def read_header(self, row: int) -> None:
        """Check an image as far as that goes without decoding it.

        Raises:
            BadImageError: The image is missing, of an unknown format or too large, or its header is damaged.
        """
        source = self._opened(row)
        if not isinstance(source, Image.Image):
            with source:
                open_checked(source, self.paths[row], self.max_pixels)

    def subset(self, rows: Sequence[int] | np.ndarray) -> ImageDataset:
        """Make a view of some rows, in the order given; the label space stays the same.

        Args:
            rows (integers, (n,)): The rows.

        Raises:
            InputError: A row is outside 0..N-1.
        """
        return Subset(self, rows)

    def narrowed(self, start: int, stop: int) -> ImageDataset:
        """Return the rows from ``start`` to ``stop`` as a data set that pickles with as little else as possible."""
        return self if (start, stop) == (0, len(self)) else self.subset(range(start, stop))

    def of_classes(self, classes: Sequence[int] | np.ndarray) -> ImageDataset:
        """Make a view of all rows of some classes, in row order; labels and label space stay the same.

        Args:
            classes (integers, (n,)): The labels of the classes.

        Raises:
            InputError: A class is outside 0..C-1.
        """
        return self.subset(np.flatnonzero(np.isin(self.labels, _checked(classes, self.num_classes, "class"))))

    def _marks(self) -> np.ndarray:
        """Compute ``content``: zeros where the other parts of the fingerprint tell the images."""
        return np.zeros(len(self), np.int64)

    def _opened(self, row: int) -> BinaryIO | Image.Image:
        try:
            return self._open(row)
        except OSError as error:
            raise BadImageError(f"image {self.paths[row]} cannot be read: {error.strerror or error}") from None

    def _open(self, row: int) -> BinaryIO | Image.Image:
        """Open the encoded image of a row as a binary file, which the caller closes, or return a decoded image.

        May raise OSError when the image cannot be read. Called from several threads and processes.
        """
        raise NotImplementedError


class ImageFiles(ImageDataset):
    """A data set of image files.

    Args:
        root (Path): The folder that ``paths`` are relative to.
        paths (sequence of str): The path of each image below ``root``.
        labels (int array of shape (N,)): The labels.
        class_names (sequence of str): The name of each label.
        listed_in (Path or None): The file that lists the images; None where they were found in a folder.
        listed (sequence of str): The paths that the file lists, those of another part included.
        options (dict): The other parameters of :class:`ImageDataset`.
    """

    def __init__(
        self,
        root: Path,
        paths: Sequence[str],
        labels: np.ndarray,
        class_names: Sequence[str],
        *,
        listed_in: Path | None = None,
        listed: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(paths, labels, class_names, **options)
        self._root = resolved(root)
        self.listed_in = listed_in
        self._listed = listed

    def check_listed(self) -> None:
        """Check that every image of a list exists.

        Raises:
            InputError: Some do not; the message counts them and names the first few.
        """
        if self.listed_in is None:
            return
        if missing := [path for path in self._listed if not os.path.isfile(self._root / path)]:
            raise InputError(
                f"{self.listed_in}: {len(missing)} of {len(self._listed)} listed images are missing in {self._root}: "
                f"{first_few(missing)}. Name the folder that paths start in with data.options.image_root, or leave "
                "missing images out with data.on_bad_image=skip"
            )

    def narrowed(self, start: int, stop: int) -> ImageDataset:
        rows = slice(start, stop)
        return ImageFiles(
            self._root,
            self.paths[rows],
            self.labels[rows],
            self.class_names,
            content=self.content[rows] if "content" in self.__dict__ else None,
            options=self.options,
            max_pixels=self.max_pixels,
            decode_size=self.decode_size,
        )

    def _marks(self) -> np.ndarray:
        return content_marks(self._root, self.paths)

    def _open(self, row: int) -> BinaryIO:
        file = open_regular(self._root / self.paths[row])
        if (size := os.fstat(file.fileno()).st_size) > self.max_bytes:
            file.close()
            raise BadImageError(
                f"image {self.paths[row]} has {size} bytes, more than an image of max_pixels {self.max_pixels} can have"
            )
        return file


class ArrayImages(ImageDataset):
    """A data set of decoded images (N, H, W, 3) uint8 in one array.

    A subclass implements :meth:`_read`, and may set ``_pixels`` to an array that it has read already. The array is left
    out of pickles.
    """

    _pixels: np.ndarray | None = None

    def _read(self) -> np.ndarray:
        """Read the array; called by each process on first use."""
        raise NotImplementedError

    def _open(self, row: int) -> Image.Image:
        if self._pixels is None:
            self._pixels = self._read()
        return Image.fromarray(self._pixels[row])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pixels": None}


class Subset(ImageDataset):
    """Some rows of another data set. A subset of a subset refers to the original data set."""

    def __init__(self, dataset: ImageDataset, rows: Sequence[int] | np.ndarray) -> None:
        chosen = _checked(rows, len(dataset), "row")
        super().__init__(
            [dataset.paths[row] for row in chosen.tolist()],
            dataset.labels[chosen],
            dataset.class_names,
            options=dataset.options,
            max_pixels=dataset.max_pixels,
            decode_size=dataset.decode_size,
            left_out=dataset.left_out,
            taken_in=dataset.taken_in,
        )
        self._dataset: ImageDataset = dataset._dataset if isinstance(dataset, Subset) else dataset
        self._rows: np.ndarray = dataset._rows[chosen] if isinstance(dataset, Subset) else chosen

    def _marks(self) -> np.ndarray:
        return self._dataset.content[self._rows]

    def _open(self, row: int) -> BinaryIO | Image.Image:
        return self._dataset._open(int(self._rows[row]))


def _checked(values: Sequence[int] | np.ndarray, size: int, what: str) -> np.ndarray:
    """Return ``values`` as (n,) int64 after a check that they are in 0..size-1."""
    indices = np.asarray(values, dtype=np.int64).reshape(-1)
    if len(outside := indices[(indices < 0) | (indices >= size)]):
        raise InputError(f"{what} {outside[0]} is outside 0..{size - 1}, what the data set has")
    return indices
