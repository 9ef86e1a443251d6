"""Write a features file row by row, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from lowshot import __version__
from lowshot.checks import check_choice, check_count
from lowshot.errors import InputError
from lowshot.features import layout
from lowshot.files import Pathlike, atomic_path

CHUNK_ROWS = 1024  # of a file whose number of rows is not known beforehand
TEXT_BLOCK = 65536  # texts written at a time, so that a million paths are not encoded all at once


class FeatureWriter:
    """Fills a new features file, which appears under its name when the writer is closed::

        with FeatureStore.create("features.h5", dim=512, capacity=len(images), backbone="ResNet10") as out:
            for features, labels, paths in batches:
                out.append(features, labels, paths)

    Leaving the block by an exception leaves nothing behind. The same rows and attributes give the same bytes, since
    the file has no time stamps.

    Args:
        path (str or path): The file. An existing one is replaced when the writer is closed.
        dim (int): The dimension D of the features.
        capacity (int or None): The largest number of rows. Given a number, the rows are contiguous in the file and
            memory-mapped when read. With None there can be any number of rows, in chunks, which readers must copy.
        dtype (str): ``"float32"``, or ``"float16"`` for half the disk space; readers get float32 either way.
        class_names (sequence of C str, or None): The names of the classes, index = label.
        attributes (dict): Further attributes of the file, which describe the features.

    Attributes:
        count (int): The number of rows so far.

    Raises:
        InputError: ``dim``, ``capacity`` or ``dtype`` is out of range.
    """

    def __init__(
        self,
        path: Pathlike,
        dim: int,
        capacity: int | None = None,
        dtype: str = "float32",
        *,
        class_names: Sequence[str] | None = None,
        **attributes: str | int | float | bool,
    ) -> None:
        file = f"features file {path}"
        check_count(f"{file}: dim", dim)
        if capacity is not None:
            check_count(f"{file}: capacity", capacity)
        check_choice(f"{file}: dtype", dtype, ("float32", "float16"))
        self.path = Path(path)
        self.dim = dim
        self.count = 0
        self._capacity = capacity
        self._class_names = None if class_names is None else list(class_names)
        self._paths: list[str] = []
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(path))
            self._file = stack.enter_context(layout.created(temporary))
            self._features = self._create(layout.FEATURES, dtype, dim)
            self._labels = self._create(layout.LABELS, "int32")
            self._file.attrs.update({"lowshot_version": __version__, "dtype": dtype, **attributes})
            self._stack = stack.pop_all()

    def append(self, features: Any, labels: Any, paths: Sequence[str] | None = None) -> None:
        """Add rows.

        Args:
            features (float, (n, D)): The features, finite in the dtype of the file.
            labels (integers, (n,)): The labels, from 0.
            paths (sequence of n str, or None): The image paths, which all rows of a file have or none.

        Raises:
            InputError: A shape, a label or a value is wrong, or the rows exceed the capacity.
        """
        labels = np.asarray(labels)
        with np.errstate(over="ignore"):  # a value too large for float16 becomes infinite and is refused below
            features = np.asarray(features).astype(self._features.dtype, copy=False)
        self._check(features, labels, paths)
        stop = self.count + len(features)
        if self._capacity is None:
            self._features.resize(stop, axis=0)
            self._labels.resize(stop, axis=0)
        self._features[self.count : stop] = features
        self._labels[self.count : stop] = labels
        self._paths.extend(paths or ())
        self.count = stop

    def close(self) -> None:
        """Finish the file and give it its name. Unused capacity stays as padding, which readers ignore."""
        if self._file:
            with self._stack:
                self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, trace)

    def _create(self, name: str, dtype: str, *shape: int) -> h5py.Dataset:
        if self._capacity is not None:
            return self._file.create_dataset(name, (self._capacity, *shape), dtype)
        return self._file.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(CHUNK_ROWS, *shape))

    def _check(self, features: np.ndarray, labels: np.ndarray, paths: Sequence[str] | None) -> None:
        file = f"features file {self.path}"
        n = len(labels)
        if labels.ndim != 1 or features.shape != (n, self.dim) or (paths is not None and len(paths) != n):
            given = "no paths" if paths is None else f"{len(paths)} paths"
            raise InputError(
                f"{file}: features {features.shape}, labels {labels.shape} and {given} do not fit together; "
                f"expected (n, {self.dim}), (n,) and n"
            )
        if self._capacity is not None and self.count + n > self._capacity:
            raise InputError(f"{file}: {self.count + n} rows exceed the capacity of {self._capacity}")
        if self.count and (paths is None) != (not self._paths):
            raise InputError(f"{file}: give image paths for all rows or for none")
        largest = np.iinfo(np.int32).max if self._class_names is None else len(self._class_names) - 1
        if labels.dtype.kind not in "iu" or (n and not 0 <= labels.min() <= labels.max() <= largest):
            raise InputError(f"{file}: labels must be integers in 0..{largest}")
        layout.require_finite(features, np.arange(self.count, self.count + n), self.path)

    def _finish(self) -> None:
        self._file.create_dataset(layout.COUNT, data=np.array([self.count], np.int32))
        for name, texts in ((layout.PATHS, self._paths), (layout.CLASS_NAMES, self._class_names or [])):
            if texts:
                dataset = self._file.create_dataset(name, (len(texts),), h5py.string_dtype())
                for start in range(0, len(texts), TEXT_BLOCK):
                    dataset[start : start + TEXT_BLOCK] = texts[start : start + TEXT_BLOCK]
