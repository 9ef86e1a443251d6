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
    """Open an HDF5 file for reading.

    Raises:
        InputError: The file is missing, truncated, damaged or not HDF5.
    """
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
    """Return a required data set, after a check that it has ``rank`` dimensions and a dtype of NumPy's ``kinds``."""
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
    """Return the number of rows that are filled, after a check against the sizes of the data sets."""
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
    """Return the first ``length`` texts of an optional data set, all of them by default; None if there is none."""
    if name not in file:
        return None
    found = file[name]
    if not isinstance(found, h5py.Dataset) or h5py.check_string_dtype(found.dtype) is None:
        raise InputError(f"features file {path}: {name} must be a data set of texts")
    if found.ndim != 1 or (length is not None and len(found) < length):
        raise InputError(f"features file {path}: {name} has shape {found.shape}, expected ({length or 'any'},)")
    return found.asstr()[:length].tolist()


def file_offset(features: h5py.Dataset) -> int | None:
    """Return the position of the rows in the file, if they are contiguous float32; otherwise None."""
    if features.chunks is not None or features.is_virtual or features.external:
        return None
    if features.dtype != np.dtype("<f4"):
        return None
    return features.id.get_offset()


def require_finite(block: np.ndarray, rows: np.ndarray, path: Path) -> None:
    """Check that features are free of NaN and infinity; ``rows`` are their rows in the file, for the message."""
    # One sum is much cheaper than a mask of the block, and is finite only if every term is.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum(dtype=np.float64)):
            return
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
    raise InputError(
        f"features file {path}: row {int(rows[bad[0]])} holds NaN or infinity "
        f"({len(bad)} such rows in this part): extract it again"
    )
