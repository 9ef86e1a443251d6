"""The layout of a features file, and the checks of all that is read from one.

The first three data sets are the original's, so that each program reads the files of the other:

=============== ======================= ==========================================================
``all_feats``   float32 (rows, D)       float16 on request; rows from ``count`` on are padding
``all_labels``  int32 (rows,)
``count``       int32 (1,)
``image_paths`` text (count,)           added by lowshot, optional: the path of each row's image
``class_names`` text (C,)               added by lowshot, optional: index = label
=============== ======================= ==========================================================

Attributes of the file describe it further: backbone, fingerprints, precision, version.

Everything must be in the file itself: links, virtual data sets and external storage are refused, since a file from
elsewhere could name any other file of this machine, and since HDF5 fills in zeros where such a file is missing. For the
same reason, data sets that were never written are refused.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lowshot.errors import InputError, first_few
from lowshot.features.texts import read_text_attributes, read_texts
from lowshot.files import is_file

FEATURES, LABELS, COUNT, PATHS, CLASS_NAMES = "all_feats", "all_labels", "count", "image_paths", "class_names"

MAX_DIM = 2**20
_MAX_ATTRIBUTES = 1000
_MAX_CHUNK = 2**28  # bytes that HDF5 unpacks at a time
_MAX_RATIO = 1100  # of unpacked to packed bytes; deflate reaches 1032
_WANTED = {"f": "floating point", "iu": "integers", "fiu": "numbers"}


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading. The block should do nothing but read: its errors are taken for those of the file.

    Raises:
        InputError: The file is missing, locked, truncated, damaged or not HDF5.
    """
    if not is_file(path):
        raise InputError(f"features file {path} does not exist: run `lowshot extract` or give another path")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # on damaged bytes HDF5 and h5py raise errors of any kind
        raise InputError(f"features file {path} {_why_unreadable(error)}") from None


def dataset(file: h5py.File, path: Path, name: str, rank: int, kinds: str) -> h5py.Dataset:
    """Return a required data set.

    Args:
        file (File): The open file.
        path (Path): Its path, for messages.
        name (str): The name of the data set.
        rank (int): The number of dimensions that it must have.
        kinds (str): The kinds of NumPy dtypes that it may have.

    Raises:
        InputError: It is missing, is not in this very file, was never written, declares more than the file can hold,
            or has another rank or dtype.
    """
    if not file.id.links.exists(name.encode()):
        present = first_few([str(one) for one in file]) or "nothing"
        raise InputError(
            f"features file {path} lacks the data set {name!r} (it holds {present}); "
            f"expected are {FEATURES}, {LABELS} and {COUNT}. Arrays of other names are read as docs/features.md shows"
        )
    found = _own(file, path, name)
    if found.ndim != rank or found.dtype.kind not in kinds:
        raise InputError(
            f"features file {path}: {name} must have {rank} dimension{'s' * (rank != 1)} of {_WANTED[kinds]}, "
            f"not shape {found.shape} of {found.dtype}"
        )
    _check_storage(found, path, name)
    return found


def row_count(file: h5py.File, path: Path) -> int:
    """Return the number of rows that are filled, after a check against the sizes of the data sets.

    Raises:
        InputError: A data set is missing, the number does not fit their sizes, or the file is empty or truncated.
    """
    features = dataset(file, path, FEATURES, 2, "f")
    labels = dataset(file, path, LABELS, 1, "iu")
    counts = dataset(file, path, COUNT, 1, "iu")
    if counts.shape != (1,):
        raise InputError(f"features file {path}: {COUNT} must hold one number, not {counts.shape}")
    count = int(counts[0])
    rows = min(len(features), len(labels))
    if not 0 <= count <= rows:
        raise InputError(
            f"features file {path}: {COUNT} is {count}, but {FEATURES} has {len(features)} rows "
            f"and {LABELS} {len(labels)}"
        )
    if count == 0 or features.shape[1] == 0:
        raise InputError(f"features file {path} is empty ({count} rows of {features.shape[1]} features)")
    require_rows(features, path, count)
    require_rows(labels, path, count)
    return count


def require_rows(found: h5py.Dataset, path: Path, count: int) -> None:
    """Check that the first ``count`` rows of a data set are written and take no more memory than is plausible.

    Raises:
        InputError: Chunks of them are missing, which HDF5 would fill in, or the file is far too small for them.
    """
    name, size = found.name.lstrip("/"), path.stat().st_size
    width = int(np.prod(found.shape[1:], dtype=object))
    if width > MAX_DIM:
        raise InputError(f"features file {path}: {name} has rows of {width} numbers; at most {MAX_DIM} are read")
    if count > size or count * width * found.dtype.itemsize > _MAX_RATIO * size:
        raise InputError(
            f"features file {path}: {name} declares {count} rows of {width}, for which the file of {size} bytes is far "
            "too small"
        )
    if found.chunks is not None:
        needed = int(np.prod([-(-n // c) for n, c in zip((count, *found.shape[1:]), found.chunks)], dtype=object))
        if (there := found.id.get_num_chunks()) < needed:
            raise InputError(
                f"features file {path}: {name} has only {there} of the {needed} chunks of its {count} rows: "
                "whoever wrote it stopped too early, so write it again"
            )


def texts(file: h5py.File, path: Path, name: str, length: int | None = None) -> list[str] | None:
    """Return the first ``length`` texts of an optional data set, all of them by default; None if there is none.

    Raises:
        InputError: The data set is damaged, too short, or not of texts in one dimension.
    """
    if not file.id.links.exists(name.encode()):
        return None
    found = _own(file, path, name)
    if h5py.check_string_dtype(found.dtype) is None:
        raise InputError(f"features file {path}: {name} must be a data set of texts")
    if found.ndim != 1 or (length is not None and len(found) < length):
        raise InputError(f"features file {path}: {name} has shape {found.shape}, expected ({length or 'any'},)")
    _check_storage(found, path, name)
    count = len(found) if length is None else length
    require_rows(found, path, count)
    try:
        if h5py.check_string_dtype(found.dtype).length is not None:
            fixed: list[str] = found.asstr("utf-8")[:count].tolist()
            return fixed
        if not count:
            return []
        if (offset := contiguous_at(found)) is None:
            raise InputError(
                f"features file {path}: {name} holds texts of any length in chunks, which are not read: write them "
                "with FeatureStore.create"
            )
        return read_texts(file, path, offset, count)
    except UnicodeDecodeError as error:
        raise InputError(f"features file {path}: {name} holds text that is not UTF-8: {error}") from None


def attributes(file: h5py.File, path: Path) -> dict[str, Any]:
    """Return the attributes that are texts or single numbers; others, which lowshot does not write, are left out."""
    numbers = [name for name in file.attrs if _is_number(file.attrs.get_id(name))]
    try:
        return {**{name: file.attrs[name].item() for name in numbers}, **read_text_attributes(file, path)}
    except UnicodeDecodeError as error:
        raise InputError(f"features file {path}: an attribute holds text that is not UTF-8: {error}") from None


def created(path: Path) -> h5py.File:
    """Make an empty file, of a format with checksums of all but the numbers and texts that HDF5 of 2008 reads."""
    how, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    how.set_obj_track_times(False)
    how.set_attr_phase_change(_MAX_ATTRIBUTES, 0)  # so that they are all in the header
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    return h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, how, access))


def contiguous_at(found: h5py.Dataset) -> int | None:
    """Return the position in the file of a data set that is contiguous there; otherwise None."""
    is_contiguous = found.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
    return found.id.get_offset() if is_contiguous else None


def require_finite(block: np.ndarray, rows: np.ndarray, path: Path) -> None:
    """Check that features are free of NaN and infinity.

    Args:
        block (array, (N, D)): The features.
        rows (array, (N,) int): Their rows in the file, for the message.
        path (Path): The file, for the message.

    Raises:
        InputError: One of them is NaN or infinite.
    """
    # One sum is much cheaper than a mask of the block, and is finite only if every term is.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum(dtype=np.float64)):
            return
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
    raise InputError(
        f"features file {path}: row {int(rows[bad[0]])} holds NaN or infinity "
        f"({len(bad)} such rows in this part): extract it again"
    )


def _own(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """The data set of a name, which must be in this very file and no link to something else."""
    elsewhere = f"features file {path}: {name} is %s: write its rows into a file with FeatureStore.create"
    link = file.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        kind = "a link into another file" if isinstance(link, h5py.ExternalLink) else "a link"
        raise InputError(elsewhere % kind)
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"features file {path}: {name} is a group or a type; expected is a data set")
    if found.is_virtual:
        raise InputError(elsewhere % "a virtual data set, whose rows are in other files")
    if found.external:
        raise InputError(elsewhere % "stored outside the file")
    return found


def _check_storage(found: h5py.Dataset, path: Path, name: str) -> None:
    """Refuse a data set that was never written, or whose bytes are not all there."""
    if not found.size:
        return
    stored = found.id.get_storage_size()
    if stored == 0:
        raise InputError(f"features file {path}: {name} was never written; write the file again")
    if found.chunks is not None:
        unpacked = int(np.prod(found.chunks, dtype=object)) * found.dtype.itemsize
        if unpacked > _MAX_CHUNK:
            raise InputError(
                f"features file {path}: {name} has chunks of {unpacked} bytes, and at most {_MAX_CHUNK} are read at a "
                "time: write it with smaller ones"
            )
        return
    offset = found.id.get_offset() or 0  # a compact data set has none: it is in the header
    if stored < found.size * found.dtype.itemsize or offset + stored > path.stat().st_size:
        raise InputError(f"features file {path} is truncated: {name} ends beyond it. Copy or extract it again")


def _is_number(attribute: h5py.h5a.AttrID) -> bool:
    return attribute.dtype.kind in "biuf" and attribute.shape == ()


def _why_unreadable(error: Exception) -> str:
    """Say why HDF5 does not read a file, as the end of a sentence that begins with it."""
    text = " ".join(str(error).split())
    if getattr(error, "errno", None) in (errno.EAGAIN, errno.EACCES) and "lock" in text:
        return (
            "is open for writing in another program: close it there. If no program has it open, the file system cannot "
            "lock files: set the environment variable HDF5_USE_FILE_LOCKING=FALSE"
        )
    if "lock file" in text:
        return "is on a file system that cannot lock files: set the environment variable HDF5_USE_FILE_LOCKING=FALSE"
    if "already open for write" in text:
        return (
            "is marked as open for writing: its writer still runs, or was killed before it closed the file. Wait for "
            "it, or write the file again"
        )
    if "signature" in text and isinstance(error, OSError):
        return (
            "is not HDF5; arrays of other formats are named with their labels: {features: FILE, labels: FILE} "
            "(docs/features.md)"
        )
    return f"is truncated or damaged ({text or type(error).__name__}): copy or extract it again"
