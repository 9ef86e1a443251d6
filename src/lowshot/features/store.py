"""Read a features file, memory-mapped if its layout allows."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np

from lowshot.errors import InputError
from lowshot.features import layout
from lowshot.features.writer import FeatureWriter
from lowshot.files import Pathlike, file_fingerprint

BLOCK_ROWS = 8192  # read at a time: 64 MiB of 2048-d features


class FeatureStore:
    """The features, labels and image paths of a data set, in row order. Open one with :meth:`open`.

    Features stored as contiguous float32 (those of :meth:`create`, unless written without a known size or as float16)
    are memory-mapped: any number of processes share one copy in the page cache, and :meth:`rows` and
    :meth:`iter_blocks` release the pages they have read, so that memory follows the size of a request. Other layouts
    are read and converted block by block.

    A store pickles as its path, and a worker process opens the file itself.

    Attributes:
        path (Path): The file.
        dim (int): The dimension D of the features.
        labels (int64, (N,)): The label of each row.
        attributes (dict): The attributes of the file, e.g. ``backbone``.
    """

    create = FeatureWriter
    """The writer of a new features file."""

    def __init__(self, path: Pathlike) -> None:
        self.path = Path(path).absolute()
        with layout.opened(self.path) as file:
            count = layout.row_count(file, self.path)
            features = file[layout.FEATURES]
            self.dim: int = features.shape[1]
            self.labels: np.ndarray = file[layout.LABELS][:count].astype(np.int64)
            self.attributes: dict[str, Any] = {
                key: value.item() if isinstance(value, np.generic) else value for key, value in file.attrs.items()
            }
            offset = layout.file_offset(features)
        if self.labels.min() < 0:
            row = int(self.labels.argmin())
            raise InputError(f"features file {self.path}: row {row} has label {self.labels[row]}, below 0")
        self._mapped: np.memmap | None = None
        if offset is not None:
            self._mapped = np.memmap(self.path, np.dtype("<f4"), "r", offset, (count, self.dim))

    @classmethod
    def open(cls, path: Pathlike) -> FeatureStore:
        """Open a features file of lowshot or of the original.

        Args:
            path (str or path): The file.

        Raises:
            InputError: The file is missing, truncated or not HDF5, lacks a data set, or a shape, a type, ``count`` or a
                label is wrong. NaN and infinity are refused when rows are read, or for all rows by
                :meth:`check_finite`.
        """
        return cls(path)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<FeatureStore {self.path.name}: {len(self)} × {self.dim}>"

    def __reduce__(self) -> tuple[type[FeatureStore], tuple[Path]]:
        return FeatureStore, (self.path,)

    @cached_property
    def features(self) -> np.ndarray:
        """All features, (N, D) float32 and read-only: the mapped file, or a converted copy of another layout."""
        if self._mapped is not None:
            return self._mapped
        features = np.concatenate([block for _, block, _ in self.iter_blocks()])
        features.flags.writeable = False
        return features

    @cached_property
    def paths(self) -> list[str] | None:
        """The image path of each row, or None in a file without them."""
        with layout.opened(self.path) as file:
            return layout.texts(file, self.path, layout.PATHS, len(self))

    @cached_property
    def class_names(self) -> list[str] | None:
        """The names of the classes, index = label, or None in a file without them."""
        with layout.opened(self.path) as file:
            return layout.texts(file, self.path, layout.CLASS_NAMES)

    @cached_property
    def fingerprint(self) -> str:
        """The digest of the file's content."""
        return file_fingerprint(self.path)

    def rows_of(self, classes: Any) -> np.ndarray:
        """Return the rows whose label is one of ``classes``, (n,) int64, ascending."""
        return np.flatnonzero(np.isin(self.labels, np.asarray(classes)))

    def rows(self, index: Any) -> np.ndarray:
        """Copy some rows.

        Args:
            index (integers, (n,)): The rows.

        Returns:
            (n, D) float32, in the order of ``index``.

        Raises:
            InputError: A row is outside the file, or holds NaN or infinity.
        """
        index = np.asarray(index, dtype=np.int64)
        if len(outside := index[(index < 0) | (index >= len(self))]):
            raise InputError(f"features file {self.path} has {len(self)} rows, no row {outside[0]}")
        gathered = np.empty((len(index), self.dim), np.float32)
        order = np.argsort(index, kind="stable")  # the file is read once, front to back
        ends = np.searchsorted(index[order], np.arange(0, len(self) + BLOCK_ROWS, BLOCK_ROWS))
        for number, (start, stop) in enumerate(pairwise(ends)):
            if start < stop:
                wanted = order[start:stop]
                first = number * BLOCK_ROWS
                gathered[wanted] = self._block(first, first + BLOCK_ROWS)[index[wanted] - first]
                self._release()
        layout.require_finite(gathered, index, self.path)
        return gathered

    def iter_blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Read the file block by block.

        Args:
            size (int): The largest number n of rows in a block.

        Yields:
            The first row of a block, its features (n, D) float32 and its labels (n,) int64.

        Raises:
            InputError: A row holds NaN or infinity.
        """
        for start in range(0, len(self), size):
            block = self._block(start, start + size)
            layout.require_finite(block, np.arange(start, start + len(block)), self.path)
            yield start, block, self.labels[start : start + size]
            self._release()

    def check_finite(self) -> None:
        """Check once that no row holds NaN or infinity; later calls cost nothing.

        Raises:
            InputError: A row holds NaN or infinity.
        """
        if not getattr(self, "_finite", False):
            for _ in self.iter_blocks():
                pass
            self._finite = True

    def _block(self, start: int, stop: int) -> np.ndarray:
        stop = min(stop, len(self))
        if self._mapped is not None:
            return self._mapped[start:stop]
        with layout.opened(self.path) as file:
            return file[layout.FEATURES][start:stop].astype(np.float32)

    def _release(self) -> None:
        """Release mapped pages that were read from this process; they stay in the page cache."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            cast(mmap.mmap, self._mapped.base).madvise(mmap.MADV_DONTNEED)
