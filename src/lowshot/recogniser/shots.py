"""The taught photos of a recogniser: features, labels, names, digests and thumbnails in ``shots.h5``.

Rows are only ever appended; which of them count, and what their labels are called, ``recogniser.json`` says. So a
process that is killed while it writes leaves the state before, and undoing a change needs no copy of the features.

While the file is small it is rewritten whole with every change. A large one is left as it is, and new rows go to
``shots-ROW.h5`` beside it, named by their first row, until these are worth joining.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lowshot.errors import InputError
from lowshot.files import atomic_path

FILE = "shots.h5"
_SEGMENT = re.compile(r"shots-(\d{1,12})\.h5")

REWRITTEN_BYTES = 64 * 2**20
"""Files up to this size are rewritten with every change."""

JOINED_AT = 0.5
"""The size of the further files, as a fraction of the first one, at which all are joined."""


@dataclass
class Shots:
    """N taught photos.

    Attributes:
        features (array, (N, D) float32): The features.
        labels (array, (N,) int64): The ids of their classes.
        names (list of N str): The name of each file, without its folder.
        digests (list of N str): The SHA-256 of each file's content, or of the pixels of an image that is no file.
        looks (array, (N,) uint64): The perceptual hash of each photo.
        thumbnails (list of N bytes): A small JPEG of each photo, or nothing.
    """

    features: np.ndarray
    labels: np.ndarray
    names: list[str]
    digests: list[str]
    looks: np.ndarray
    thumbnails: list[bytes]

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def none(cls, dim: int) -> Shots:
        """No photos, of features of width ``dim``."""
        return cls(np.zeros((0, dim), np.float32), np.zeros(0, np.int64), [], [], np.zeros(0, np.uint64), [])

    def take(self, rows: Sequence[int] | np.ndarray) -> Shots:
        """The photos of some rows."""
        rows = np.asarray(rows, np.int64)
        chosen = rows.tolist()
        return Shots(
            self.features[rows],
            self.labels[rows],
            [self.names[row] for row in chosen],
            [self.digests[row] for row in chosen],
            self.looks[rows],
            [self.thumbnails[row] for row in chosen],
        )

    def joined(self, other: Shots) -> Shots:
        """These photos and then others."""
        return Shots(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.labels, other.labels]),
            self.names + other.names,
            self.digests + other.digests,
            np.concatenate([self.looks, other.looks]),
            self.thumbnails + other.thumbnails,
        )


def read_shots(folder: Path, rows: int, dim: int, thumbnails: bool = False) -> Shots:
    """Read the first rows of a recogniser's shots.

    Args:
        folder (Path): The folder of the recogniser.
        rows (int): N, the number of rows.
        dim (int): D, the width that the features must have.
        thumbnails (bool): True reads the thumbnails; otherwise they are empty.

    Raises:
        InputError: A file is missing, truncated, of another width, or holds NaN; the message names it.
    """
    found = Shots.none(dim)
    for path, first in _files(folder):
        if first >= rows:
            break
        if first > len(found):
            raise InputError(f"{folder}: rows {len(found)} to {first - 1} of the shots are missing before {path.name}")
        part = _read(path, dim, thumbnails)
        found = found.take(np.arange(first)).joined(part) if first else part
    if len(found) < rows:
        raise InputError(
            f"{folder / FILE} has {len(found)} of {rows} photos: it is truncated, or of another recogniser; restore it "
            "from a copy"
        )
    return found if len(found) == rows else found.take(np.arange(rows))


def read_thumbnails(folder: Path, rows: Sequence[int], digests: Mapping[int, str] | None = None) -> list[bytes]:
    """Read the thumbnails of some rows, without reading the rest; nothing where a row has none.

    Args:
        folder (Path): The folder of the recogniser.
        rows (sequence of int): The rows.
        digests (mapping, optional): Row → the digest that it must have. Another process may have undone a change and
            written other photos to the same rows; they come out with nothing.

    Raises:
        InputError: A file is missing or damaged.
    """
    found: dict[int, bytes] = {}
    for path, first in reversed(_files(folder)):
        wanted = sorted(row for row in rows if row >= first and row not in found)
        if not wanted:
            continue
        with _opened(path) as file:
            ends, stored = _dataset(file, "thumbnail_ends", path)[...], _dataset(file, "thumbnails", path)
            known = _dataset(file, "digests", path)
            for row in wanted:
                if row - first < len(ends) and (digests is None or known[row - first] == digests[row].encode()):
                    start = int(ends[row - first - 1]) if row > first else 0
                    found[row] = stored[start : int(ends[row - first])].tobytes()
    return [found.get(row, b"") for row in rows]


def append_shots(folder: Path, rows: int, dim: int, new: Shots, erased: Sequence[int] = ()) -> None:
    """Write new photos after the first rows of a recogniser's shots, atomically; later rows that are there go.

    Args:
        folder (Path): The folder of the recogniser.
        rows (int): N, the number of rows that stay.
        dim (int): D, the width of the features.
        new (Shots): The new photos.
        erased (sequence of int): Rows that no state refers to. Where the file is rewritten, nothing is left of them.
    """
    files = _files(folder)
    sizes = [path.stat().st_size for path, _ in files]
    small = sum(sizes) <= REWRITTEN_BYTES or sum(sizes[1:]) > JOINED_AT * sizes[0]
    if small or not rows:
        kept = read_shots(folder, rows, dim, thumbnails=True) if rows else Shots.none(dim)
        for row in erased:
            kept.features[row], kept.looks[row] = 0, 0
            kept.names[row], kept.digests[row], kept.thumbnails[row] = "", "", b""
        _write(folder / FILE, kept.joined(new))
        stale = [path for path, first in files if first]
    else:
        if len(new):
            _write(folder / f"shots-{rows}.h5", new)
        stale = [path for path, first in files if first > rows or (first == rows and not len(new))]
    for path in stale:
        path.unlink(missing_ok=True)


def _files(folder: Path) -> list[tuple[Path, int]]:
    """The files of the shots and the first row of each, in order."""
    found = [(folder / FILE, 0)] if (folder / FILE).exists() else []
    segments = ((path, _SEGMENT.fullmatch(path.name)) for path in folder.glob("shots-*.h5"))
    found += [(path, int(match[1])) for path, match in segments if match]
    return sorted(found, key=lambda one: one[1])


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(f"{path} is missing, truncated or no HDF5 file; restore it from a copy ({error})") from None


def _read(path: Path, dim: int, thumbnails: bool) -> Shots:
    with _opened(path) as file:
        try:
            lengths = {name: len(_dataset(file, name, path)) for name in _LAYOUT if name != "thumbnails"}
            n = lengths["labels"]
            if set(lengths.values()) != {n}:
                raise InputError(f"{path}: its data sets differ in length ({lengths}); restore it from a copy")
            if file["features"].shape != (n, dim):
                raise InputError(
                    f"{path} has features of shape {file['features'].shape}, but the backbone of the recogniser gives "
                    f"{dim} numbers a photo: it belongs to another recogniser"
                )
            ends = file["thumbnail_ends"][...].astype(np.int64)
            stored = _dataset(file, "thumbnails", path)
            if (np.diff(ends, prepend=0) < 0).any() or (n and ends[-1] != len(stored)):
                raise InputError(f"{path}: thumbnail_ends do not fit the thumbnails; restore it from a copy")
            data = stored[...].tobytes() if thumbnails else b""
            found = Shots(
                file["features"][...],
                file["labels"][...].astype(np.int64),
                [name.decode() for name in file["names"][...].tolist()],
                [digest.decode() for digest in file["digests"][...].tolist()],
                file["looks"][...],
                [data[start:end] for start, end in pairwise([0, *ends.tolist()])],
            )
        except InputError:  # a RuntimeError, which says what is wrong already
            raise
        except (OSError, RuntimeError, TypeError, UnicodeError, MemoryError) as error:
            raise InputError(f"{path} is damaged: {error}; restore it from a copy") from None
    if not np.isfinite(found.features).all():
        raise InputError(f"{path} holds NaN or infinity; restore it from a copy")
    return found


_LAYOUT: dict[str, tuple[str, int]] = {
    "features": ("f", 2),
    "labels": ("iu", 1),
    "names": ("S", 1),
    "digests": ("S", 1),
    "looks": ("u", 1),
    "thumbnail_ends": ("iu", 1),
    "thumbnails": ("u", 1),
}
"""Data set → kinds of its dtype, and number of dimensions."""


def _dataset(file: h5py.File, name: str, path: Path) -> Any:
    kinds, ndim = _LAYOUT[name]
    link = file.get(name, getlink=True)
    found = file.get(name) if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.ndim != ndim or found.dtype.kind not in kinds:
        raise InputError(f"{path} has no data set {name!r} as lowshot writes it; restore it from a copy")
    if found.size * found.dtype.itemsize > path.stat().st_size:  # what is written is contiguous and not packed
        raise InputError(f"{path} declares more {name} than it holds; restore it from a copy")
    if found.external or found.is_virtual:
        raise InputError(f"{path}: data set {name!r} lies in other files, which a recogniser never has")
    return found


def _write(path: Path, shots: Shots) -> None:
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["features"] = shots.features.astype(np.float32, copy=False)
        file["labels"] = shots.labels.astype(np.int64, copy=False)
        file["names"] = _fixed(shots.names)
        file["digests"] = _fixed(shots.digests)
        file["looks"] = shots.looks.astype(np.uint64, copy=False)
        file["thumbnail_ends"] = np.cumsum([len(data) for data in shots.thumbnails], dtype=np.int64)
        file["thumbnails"] = np.frombuffer(b"".join(shots.thumbnails), np.uint8)


def _fixed(texts: Sequence[str]) -> np.ndarray:
    """(N,) UTF-8 bytes of one length: texts of any length would lie in a heap, which damage can make endless."""
    encoded = [text.encode("utf-8", "replace") for text in texts]
    return np.array(encoded, dtype=f"S{max(1, *map(len, encoded))}" if encoded else "S1")
