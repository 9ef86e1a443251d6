"""A cache of named arrays in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from lowshot.files import write_bytes
from lowshot.progress import say

Folder = str | os.PathLike[str] | None


class ArrayCache:
    """Files ``NAME.safetensors`` in a folder, each written atomically.

    Args:
        folder (path-like, optional): The folder; None makes a cache that is always empty.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = None if folder is None else Path(folder)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays saved under ``name``, or None. A damaged file counts as absent: it can be computed again."""
        if self.folder is None:
            return None
        path = self._path(name)
        try:
            return safetensors.numpy.load(path.read_bytes())
        except FileNotFoundError:
            return None
        except SafetensorError:
            say(f"{path} is damaged and will be made again", style="yellow")
            return None

    def save(self, name: str, **arrays: np.ndarray) -> None:
        """Save ``arrays`` under ``name``."""
        if self.folder is not None:
            contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
            write_bytes(self._path(name), safetensors.numpy.save(contiguous))

    def remove(self, name: str) -> None:
        """Delete the arrays saved under ``name``, if there are any."""
        if self.folder is not None:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name}.safetensors"
