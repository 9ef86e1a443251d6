"""The features of one setup in plain files that any number of processes map, so that they share one copy in memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lowshot.benchmark.metrics import Standing, join, standing
from lowshot.classifiers.base import LowShotClassifier
from lowshot.data.splits import Setup
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import Pathlike, atomic_path

_BLOCK_ROWS = 65536
_QUERY_BLOCK = 8192


@dataclass(frozen=True)
class PackedArena:
    """What a worker sees of one setup: base examples, shots and queries. Pickles as the name of a folder.

    Attributes:
        folder: of the arrays, written by :meth:`lowshot.benchmark.arena.Arena.pack`.
        classes: the setup's base and novel classes.
    """

    folder: Path
    classes: Setup

    @property
    def setup(self) -> str:
        """ "val" or "test"."""
        return self.classes.name

    def array(self, name: str) -> np.ndarray:
        """An array of the folder, mapped and read-only."""
        return np.asarray(np.load(self.folder / f"{name}.npy", mmap_mode="r"))

    @cached_property
    def label_space(self) -> np.ndarray:
        return np.sort(np.concatenate([self.classes.base, self.classes.novel]))

    def base_examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Features (M, D) and labels (M,) of the base classes."""
        return self.array("base"), self.array("base_labels")

    def shots(self, experiment: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Features (n · N, D) and labels of the shots of one run, class after class."""
        places = self.array("places")[experiment - 1, :, :n].ravel()
        return self.array("shots")[places], np.repeat(self.classes.novel, n)

    def score(self, classifier: LowShotClassifier) -> Standing:
        """The queries' standing; classes that a classifier has beyond the setup's compete on the side of the base."""
        order = np.argsort(classifier.classes_)
        columns = classifier.classes_[order]
        if not np.isin(self.label_space, columns).all():
            raise InputError(f"{type(classifier).__name__} must have the classes of its base and its shots as classes_")
        place = {name: np.searchsorted(columns, getattr(self.classes, name)) for name in ("base", "novel")}
        queries, labels = self.array("queries"), self.array("query_labels")
        blocks = []
        for start in range(0, len(queries), _QUERY_BLOCK):
            rows = slice(start, start + _QUERY_BLOCK)
            scores = classifier.scores(queries[rows])[:, order]
            blocks.append(standing(scores, np.searchsorted(columns, labels[rows]), **place))
        return join(blocks)


class Scratch:
    """A folder for what processes share during one sweep.

    What a killed sweep left there is used again: names are fingerprints, and a file appears whole or not at all.
    """

    def __init__(self, folder: Pathlike) -> None:
        self.folder = Path(folder).absolute()

    def remove(self) -> None:
        """Remove everything; processes that still map a file keep it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write_once(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a file, unless it is there."""
    if not path.exists():
        with atomic_path(path) as temporary:
            write(temporary)


def write_array(path: Path, values: np.ndarray) -> None:
    """An array as ``.npy``, unless it is there."""

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.save(file, values)

    write_once(path, write)


def write_rows(path: Path, store: FeatureStore, rows: np.ndarray) -> None:
    """Rows of a features file as a (n, D) float32 ``.npy``, unless it is there; a block is in memory at a time."""

    def write(temporary: Path) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), store.dim)}
        with open(temporary, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(rows), _BLOCK_ROWS):
                file.write(store.rows(rows[start : start + _BLOCK_ROWS]).data)

    write_once(path, write)
