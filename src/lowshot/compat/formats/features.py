"""Features files: one layout serves both programs; what lowshot adds to it, the original does not look at.

:class:`~lowshot.features.FeatureStore` opens the original's files, padding and all. Here they are written anew.
"""

from __future__ import annotations

from typing import Any, Literal

import h5py

from lowshot.errors import InputError
from lowshot.features import FeatureStore, layout
from lowshot.files import Pathlike

Format = Literal["original", "lowshot"]

# Attributes that say who wrote a file and how.
_OF_THE_WRITER = frozenset({"lowshot_version", "dtype", "program"})
# Names that an attribute of someone else's file may have, but that mean something else when one is written.
_TAKEN = _OF_THE_WRITER | {"path", "dim", "capacity", "class_names"}


def open_features(path: Pathlike, num_classes: int | None = None) -> FeatureStore:
    """Open a features file of either program.

    Args:
        path (str or path): The HDF5 file.
        num_classes (int or None): The number that every label must be below; None takes any label.

    Raises:
        InputError: The file is missing, truncated, no features file, or has a label out of range.
    """
    store = FeatureStore.open(path)
    if num_classes is not None and store.labels.max() >= num_classes:
        row = int(store.labels.argmax())
        raise InputError(
            f"features file {path}: row {row} has label {store.labels[row]}, but there are {num_classes} classes: "
            f"labels run from 0 to {num_classes - 1}"
        )
    return store


def additions(store: FeatureStore) -> list[str]:
    """Name the contents of a features file that the original has no place for."""
    named = [("image paths", store.paths), ("class names", store.class_names)]
    return [*(name for name, value in named if value), *sorted(store.attributes.keys() - _OF_THE_WRITER)]


def new_layout(store: FeatureStore) -> list[str]:
    """Return a sentence for each difference between the rows in the file and those of :func:`rewrite_features`."""
    with layout.opened(store.path) as file:
        stored = file[layout.FEATURES]
        padding, dtype = len(stored) - len(store), stored.dtype
    return [
        *([f"{padding} rows of padding were left out"] if padding else []),
        *([f"{dtype} became float32" + ", rounded" * (dtype.itemsize > 4)] if dtype != "f4" else []),
    ]


def rewrite_features(source: FeatureStore, target: Pathlike, to: Format) -> list[str]:
    """Write features as float32 rows one after the other, without padding, in memory that does not grow with them.

    Args:
        source (FeatureStore): The features, with their labels, paths and attributes.
        target (str or path): The file; it appears whole.
        to (str): "lowshot" keeps image paths, class names and attributes; "original" writes its three data sets, of
            its types.

    Returns:
        list of str: A sentence for each thing that the target does not hold.

    Raises:
        InputError: A feature is NaN or infinite.
    """
    kept: dict[str, Any] = {}
    paths = None
    if to == "lowshot":
        paths = source.paths
        described = {key: value for key, value in source.attributes.items() if key not in _TAKEN}
        kept = {"class_names": source.class_names, **described}
    with FeatureStore.create(target, source.dim, len(source), **kept) as out:
        for first, features, labels in source.iter_blocks():
            out.append(features, labels, paths[first : first + len(features)] if paths else None)
    lost = additions(source) if to == "original" else []
    return [f"left out, for the original has no place for it: {', '.join(lost)}"] if lost else []


def is_written_by(path: Pathlike, program: str) -> bool:
    """Return True if the file is HDF5 and says that this program wrote it; a damaged file says nothing."""
    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("program") == program)
    except OSError:
        return False
