"""Arrays in plain files that any number of processes map, so that they share one copy in memory."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from lowshot.files import Pathlike, atomic_path, exists


class SharedArrays:
    """A folder of ``.npy`` files; pickles as its path.

    Args:
        folder (path): The folder. Its name is a fingerprint of the content, so that a file that is there is right.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of that name, mapped and read-only."""
        return np.asarray(np.load(self.folder / f"{name}.npy", mmap_mode="r"))

    def write(self, name: str, values: np.ndarray) -> None:
        """Write an array, unless it is there."""

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                np.save(file, values)

        write_once(self.folder / f"{name}.npy", write)

    def write_rows(self, name: str, shape: tuple[int, int], blocks: Callable[[], Iterable[np.ndarray]]) -> None:
        """Write a float32 matrix from blocks of its rows, of which one is in memory at a time, unless it is there."""

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
                for block in blocks():
                    file.write(np.ascontiguousarray(block, dtype="<f4").data)

        write_once(self.folder / f"{name}.npy", write)


class Scratch:
    """A folder for the files that processes share while they run a group of tasks.

    The files of a killed run are used again: names are fingerprints, and a file appears whole or not at all.
    """

    def __init__(self, folder: Pathlike) -> None:
        self.folder = Path(folder).absolute()

    def remove(self) -> None:
        """Remove everything; processes that still map a file keep it."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def scratch_for(file: Path | None) -> Iterator[Scratch]:
    """A scratch folder beside a file of results, left there by a kill for the next run; without one a temporary one."""
    if file is not None:
        scratch = Scratch(file.with_suffix(".scratch"))
        yield scratch
        scratch.remove()
        return
    with tempfile.TemporaryDirectory(prefix="lowshot-") as name:
        yield Scratch(name)


def write_once(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a file, unless it is there."""
    if not exists(path):
        with atomic_path(path) as temporary:
            write(temporary)
