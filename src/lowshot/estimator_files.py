"""Fitted classifiers and generators as safetensors files: arrays as tensors, everything else as JSON in the metadata.

Reading such a file runs no code that the file could bring along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from lowshot.errors import InputError
from lowshot.files import Pathlike, write_bytes

# The one entry of the metadata that holds the header: the order of several would differ from file to file.
_ENTRIES = {"generator": "lowshot", "classifier": "classifier"}


def write_estimator(path: Pathlike, kind: str, header: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a fitted estimator atomically. Equal headers and arrays give equal bytes.

    Args:
        path (path-like): The file.
        kind (str): "generator" or "classifier".
        header (str): Everything but the arrays, as JSON.
        arrays (Mapping of str to array): The arrays by name.
    """
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, safetensors.numpy.save(tensors, metadata={_ENTRIES[kind]: header}))


def read_estimator(path: Pathlike, kind: str, *formats: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a file that :func:`write_estimator` wrote.

    Args:
        path (path-like): The file.
        kind (str): "generator" or "classifier".
        formats (str): The known values of the header's ``format``.

    Raises:
        InputError: The file is missing, truncated, of another kind or of an unknown format.
    """
    metadata, arrays = _read(path, f"{kind} file ", with_arrays=True)
    header: Any = metadata
    if _ENTRIES[kind] in metadata and "format" not in metadata:
        try:
            header = json.loads(metadata[_ENTRIES[kind]])
        except ValueError as error:
            raise InputError(f"{kind} file {path} has a header that is not JSON: {error}") from None
    if not isinstance(header, dict) or header.get("format") not in formats:
        raise InputError(f"{path} is a safetensors file, but not a {kind} that lowshot saved")
    return header, arrays


def estimator_kind(path: Pathlike) -> str | None:
    """The kind of estimator in a safetensors file, "generator" or "classifier"; None for a file of anything else.

    Raises:
        InputError: The file is missing or truncated.
    """
    metadata, _ = _read(path, "")
    return next((kind for kind, entry in _ENTRIES.items() if entry in metadata), None)


def _read(path: Pathlike, what: str, with_arrays: bool = False) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    if not Path(path).is_file():
        raise InputError(f"{what}{path} does not exist")
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys() if with_arrays else ()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{what}{path} is truncated or not a safetensors file: {error}") from None
