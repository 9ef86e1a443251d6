"""Read a features file, memory-mapped if its layout allows."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.errors import InputError
from lowshot.features import layout
from lowshot.features.arrays import FeatureFiles
from lowshot.features.writer import FeatureWriter
from lowshot.files import Pathlike, file_fingerprint

BLOCK_ROWS = 8192  # read at a time at most: 64 MiB of 2048-d features
BLOCK_BYTES = 2**26


class FeatureStore:
    """The features, labels and image paths of a data set, in row order. Open one with :meth:`open`.

    Features stored as contiguous float32 (those of :meth:`create`, unless written without a known size or as float16)
    are memory-mapped: any number of processes share one copy in the page cache, and :meth:`rows` and
    :meth:`iter_blocks` release the pages they have read, so that memory follows the size of a request. Other layouts
    are read and converted block by block.

    A store pickles as its source, and a worker process opens the file itself.

    Attributes:
        source (Path or FeatureFiles): The file, or the files of other programs; :meth:`open` takes it.
        path (Path): The file of the features.
        dim (int): The dimension D of the features.
        labels (int64, (N,)): The label of each row.
        attributes (dict): The attributes of the file, e.g. ``backbone``.
    """

    create = FeatureWriter
    """The writer of a new features file."""

    def __init__(self, source: Pathlike | FeatureFiles) -> None:
        self.source: Path | FeatureFiles
        self.labels: np.ndarray
        self.attributes: dict[str, Any] = {}
        self._rows: np.ndarray | None = None  # in memory or mapped; None reads them from the file block by block
        if isinstance(source, FeatureFiles):
            self.source = source.absolute()
            self.path = self.source.files[0]
            self._rows, self.labels = self.source.read()
            self.dim: int = self._rows.shape[1]
        else:
            self.source = self.path = Path(source).absolute()
            self._read_layout()
        if self.labels.min() < 0:
            row = int(self.labels.argmin())
            raise InputError(f"features file {self.path}: row {row} has label {self.labels[row]}, below 0")
        self._block_rows = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (4 * self.dim)))

    def _read_layout(self) -> None:
        with layout.opened(self.path) as file:
            count = layout.row_count(file, self.path)
            features = file[layout.FEATURES]
            self.dim = features.shape[1]
            self.labels = file[layout.LABELS][:count].astype(np.int64)
            self.attributes = layout.attributes(file, self.path)
            offset, dtype = layout.contiguous_at(features), features.dtype
        if offset is not None:
            self._rows = np.memmap(self.path, dtype, "r", offset, (count, self.dim))

    @classmethod
    def open(cls, source: Pathlike | FeatureFiles) -> FeatureStore:
        """Open a features file of lowshot or of the original, or files of other programs.

        Args:
            source (str, path or FeatureFiles): The features file, or the files of features and labels.

        Raises:
            InputError: A file is missing, locked, truncated or damaged, lacks a data set, or a shape, a type, ``count``
                or a label is wrong. NaN and infinity are refused when rows are read, or for all rows by
                :meth:`check_finite`.
        """
        return cls(source)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<FeatureStore {self.path.name}: {len(self)} × {self.dim}>"

    def __reduce__(self) -> tuple[type[FeatureStore], tuple[Path | FeatureFiles]]:
        return FeatureStore, (self.source,)

    @cached_property
    def features(self) -> np.ndarray:
        """All features, (N, D) float32 and read-only: the mapped file, or a converted copy of another layout."""
        if self._rows is not None and self._rows.dtype == np.dtype("<f4") and not self._rows.flags.writeable:
            return self._rows
        features = np.concatenate([block for _, block, _ in self.iter_blocks()])
        features.flags.writeable = False
        return features

    @cached_property
    def paths(self) -> list[str] | None:
        """The image path of each row, or None in a file without them."""
        if isinstance(self.source, FeatureFiles):
            return None
        with layout.opened(self.path) as file:
            return layout.texts(file, self.path, layout.PATHS, len(self))

    @cached_property
    def class_names(self) -> list[str] | None:
        """The names of the classes, index = label, or None in a file without them."""
        if isinstance(self.source, FeatureFiles):
            return None
        with layout.opened(self.path) as file:
            return layout.texts(file, self.path, layout.CLASS_NAMES)

    @cached_property
    def fingerprint(self) -> str:
        """The digest of the content of the file or files."""
        if isinstance(self.source, FeatureFiles):
            return self.source.fingerprint
        return file_fingerprint(self.source)

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
        size = self._block_rows
        ends = np.searchsorted(index[order], np.arange(0, len(self) + size, size))
        for number, (start, stop) in enumerate(pairwise(ends)):
            if start < stop:
                wanted = order[start:stop]
                first = number * size
                gathered[wanted] = self._block(first, first + size)[index[wanted] - first]
                self._release()
        layout.require_finite(gathered, index, self.path)
        return gathered

    def iter_blocks(self, size: int | None = None) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Read the file block by block.

        Args:
            size (int, optional): The largest number n of rows in a block; by default as many as 64 MiB hold.

        Yields:
            The first row of a block, its features (n, D) float32 and its labels (n,) int64.

        Raises:
            InputError: A row holds NaN or infinity.
        """
        size = size or self._block_rows
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
        if self._rows is not None:
            return self._rows[start:stop].astype(np.float32, copy=False)
        with layout.opened(self.path) as file:
            return file[layout.FEATURES][start:stop].astype(np.float32)

    def _release(self) -> None:
        """Release mapped pages that were read from this process; they stay in the page cache."""
        mapped: mmap.mmap | None = getattr(self._rows, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
