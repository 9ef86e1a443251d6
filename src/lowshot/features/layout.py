"""The names and types of a features file, and the checks that every read of one goes through.

The original's three data sets come first, so its programs read our files and we read theirs:

=============== ======================= ==========================================================
``all_feats``   float32 (rows, D)       float16 where asked for; rows from ``count`` on are padding
``all_labels``  int32 (rows,)
``count``       int32 (1,)
``image_paths`` text (count,)           ours, optional: the identity of each row
``class_names`` text (C,)               ours, optional: index = label
=============== ======================= ==========================================================

Attributes of the file hold whatever else describes it: backbone, fingerprints, precision, version.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from lowshot.errors import InputError

FEATURES, LABELS, COUNT, PATHS, CLASS_NAMES = "all_feats", "all_labels", "count", "image_paths", "class_names"


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file open for reading; what keeps it from being read is an :class:`InputError` that names it."""
    if not path.is_file():
        raise InputError(f"features file {path} does not exist: run `lowshot extract` or give another path")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        if "signature" in str(error):
            raise InputError(f"features file {path} is not HDF5") from None
        raise InputError(f"features file {path} is truncated or damaged ({error}): copy or extract it again") from None


def dataset(file: h5py.File, path: Path, name: str, rank: int, kinds: str) -> h5py.Dataset:
    """A required data set of ``rank`` dimensions whose dtype is one of numpy's ``kinds``."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        present = ", ".join(sorted(file)) or "nothing"
        raise InputError(
            f"features file {path} lacks the data set {name!r} (it holds {present}); "
            f"expected are {FEATURES}, {LABELS} and {COUNT}"
        )
    if found.ndim != rank or found.dtype.kind not in kinds:
        wanted = {"f": "floating point", "iu": "integers"}[kinds]
        raise InputError(
            f"features file {path}: {name} must have {rank} dimension{'s' * (rank != 1)} of {wanted}, "
            f"not shape {found.shape} of {found.dtype}"
        )
    return found


def row_count(file: h5py.File, path: Path) -> int:
    """How many rows are filled, checked against the sizes of the other data sets."""
    features = dataset(file, path, FEATURES, 2, "f")
    labels = dataset(file, path, LABELS, 1, "iu")
    counts = dataset(file, path, COUNT, 1, "iu")[...]
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
    return count


def texts(file: h5py.File, path: Path, name: str, length: int | None = None) -> list[str] | None:
    """An optional data set of UTF-8 texts; None where there is none."""
    if name not in file:
        return None
    found = file[name]
    if not isinstance(found, h5py.Dataset) or h5py.check_string_dtype(found.dtype) is None:
        raise InputError(f"features file {path}: {name} must be a data set of texts")
    if found.ndim != 1 or (length is not None and len(found) < length):
        raise InputError(f"features file {path}: {name} has shape {found.shape}, expected ({length or 'any'},)")
    return found.asstr()[:length].tolist()


def file_offset(features: h5py.Dataset) -> int | None:
    """Where the rows lie in the file when they lie there one after the other as float32, else None."""
    if features.chunks is not None or features.is_virtual or features.external:
        return None
    if features.dtype != np.dtype("<f4"):
        return None
    return features.id.get_offset()


def require_finite(block: np.ndarray, rows: np.ndarray, path: Path) -> None:
    """Refuse NaN and infinity in a block of features whose file rows are ``rows``."""
    # One sum is much cheaper than a mask of the block, and is finite only if every term is.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum(dtype=np.float64)):
            return
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
    raise InputError(
        f"features file {path}: row {int(rows[bad[0]])} holds NaN or infinity "
        f"({len(bad)} such rows in this part): extract it again"
    )
