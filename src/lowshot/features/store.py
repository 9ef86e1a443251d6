"""Reading a features file: mapped, not loaded, wherever its layout allows."""

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

# Rows that are read at a time: 64 MiB at 2048-d.
BLOCK_ROWS = 8192


class FeatureStore:
    """The features, labels and image paths of a data set, in row order. Open one with :meth:`open`.

    Features stored as contiguous float32 (ours, unless written without a known size or as float16) are mapped: any
    number of processes share one copy in the page cache, and :meth:`rows` and :meth:`iter_blocks` give the pages
    back, so that memory follows what is asked for. Other layouts are read and converted block by block.

    Pickles as its path: a worker process opens the file itself.

    Attributes:
        path: the file.
        dim: D.
        labels: (N,) int64.
        attributes: the attributes of the file, e.g. ``backbone``.
    """

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
        """Open a features file, ours or the original's.

        Raises:
            InputError: the file is missing, truncated or not HDF5; lacks a data set; a shape, a type, ``count`` or a
                label is wrong. NaN and infinity are refused when rows are read, or for all rows by
                :meth:`check_finite`.
        """
        return cls(path)

    @staticmethod
    def create(
        path: Pathlike,
        dim: int,
        capacity: int | None = None,
        dtype: str = "float32",
        *,
        class_names: list[str] | None = None,
        **attributes: str | int | float | bool,
    ) -> FeatureWriter:
        """A writer for a new file; see :class:`~lowshot.features.writer.FeatureWriter`."""
        return FeatureWriter(path, dim, capacity, dtype, class_names=class_names, **attributes)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<FeatureStore {self.path.name}: {len(self)} × {self.dim}>"

    def __reduce__(self) -> tuple[type[FeatureStore], tuple[Path]]:
        return FeatureStore, (self.path,)

    @cached_property
    def features(self) -> np.ndarray:
        """(N, D) float32, read-only; a view of the mapped file, or a converted copy of another layout."""
        if self._mapped is not None:
            return self._mapped
        whole = np.concatenate([block for _, block, _ in self.iter_blocks()])
        whole.flags.writeable = False
        return whole

    @cached_property
    def paths(self) -> list[str] | None:
        """The N image paths, or None in a file without them."""
        with layout.opened(self.path) as file:
            return layout.texts(file, self.path, layout.PATHS, len(self))

    @cached_property
    def class_names(self) -> list[str] | None:
        """The class names, index = label, or None in a file without them."""
        with layout.opened(self.path) as file:
            return layout.texts(file, self.path, layout.CLASS_NAMES)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the file's content."""
        return file_fingerprint(self.path)

    def rows_of(self, classes: Any) -> np.ndarray:
        """The ascending rows whose label is one of ``classes``, int64."""
        return np.flatnonzero(np.isin(self.labels, np.asarray(classes)))

    def rows(self, index: Any) -> np.ndarray:
        """(n, D) float32 copy of the rows of ``index`` (n,), in its order.

        Raises:
            InputError: a row outside the file, NaN or infinity.
        """
        index = np.asarray(index, dtype=np.int64)
        if len(outside := index[(index < 0) | (index >= len(self))]):
            raise InputError(f"features file {self.path} has {len(self)} rows, no row {outside[0]}")
        gathered = np.empty((len(index), self.dim), np.float32)
        order = np.argsort(index, kind="stable")  # the file is walked once, front to back
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
        """Walk the file: (first row, (n, D) float32 features, (n,) int64 labels) with n <= ``size``.

        Raises:
            InputError: NaN or infinity.
        """
        for start in range(0, len(self), size):
            block = self._block(start, start + size)
            layout.require_finite(block, np.arange(start, start + len(block)), self.path)
            yield start, block, self.labels[start : start + size]
            self._release()

    def check_finite(self) -> None:
        """Read every row once and refuse NaN and infinity; later calls are free."""
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
        """Let go of mapped pages that were read; they stay in the page cache, but not in this process."""
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            cast(mmap.mmap, self._mapped.base).madvise(mmap.MADV_DONTNEED)
