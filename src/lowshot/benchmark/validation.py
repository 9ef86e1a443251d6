"""The validation half by itself: the only data that code which chooses hyper-parameters is given.

Tuning must not use the test setup. :class:`ValidationData` therefore does not contain it: rows are renumbered over the
validation classes, other classes have no shots, and the split has no test setup.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.benchmark.setup_data import BenchmarkData
from lowshot.data import ClassSplit, Experiments
from lowshot.data.splits import Setup
from lowshot.errors import InputError
from lowshot.features import FeatureFiles, FeatureStore
from lowshot.files import Pathlike, fingerprint


class ValidationData(BenchmarkData):
    """Features, split and experiments of setup "val" alone, made from those of a whole data set.

    Args:
        train (FeatureStore): The features that base examples and shots are taken from.
        test (FeatureStore): The features of the queries.
        split (ClassSplit): The base and novel classes of both halves.
        experiments (Experiments): The draws of shots.
        n_experiments (int or None): The number of experiments to use, the first ones; None for all.

    Attributes:
        train (FeatureStore): The rows of validation classes in the train part, numbered from 0.
        test (FeatureStore): The rows of validation classes in the test part, numbered from 0.
        split (ClassSplit): The validation half, label names as before.
        experiments (Experiments): Shots of novel validation classes, as rows of ``train``.

    Raises:
        InputError: The validation halves of the parts do not belong together, or there are fewer experiments.
    """

    def __init__(
        self,
        train: FeatureStore,
        test: FeatureStore,
        split: ClassSplit,
        experiments: Experiments,
        n_experiments: int | None = None,
    ) -> None:
        classes = np.union1d(split.base_1, split.novel_1)
        super().__init__(
            RowsOf(train.source, classes),
            RowsOf(test.source, classes),
            ValidationSplit(split.base_1, split.novel_1, split.label_names),
            _shots_of(split.novel_1, experiments, train.rows_of(classes), n_experiments),
        )

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that can be seen."""
        shots = [fingerprint(*draw) for draw in self.experiments.rows]
        return fingerprint(self.fingerprints, shots)


class RowsOf(FeatureStore):
    """The rows of a features file that show one of ``classes``, in their order, as a store of their own.

    Pickles as source and classes. Its fingerprint is that of these rows: other rows of the file may change.
    """

    def __init__(self, source: Pathlike | FeatureFiles, classes: np.ndarray) -> None:
        self._classes = np.asarray(classes)
        self._store = store = FeatureStore.open(source)
        self._chosen = store.rows_of(self._classes)
        self._rows = None
        self.source, self.path, self.dim, self.attributes = store.source, store.path, store.dim, store.attributes
        self.labels = store.labels[self._chosen]
        self._block_rows = store._block_rows

    def __reduce__(self) -> tuple[Any, ...]:
        return RowsOf, (self.source, self._classes)

    def rows(self, index: Any) -> np.ndarray:
        index = np.asarray(index, dtype=np.int64)
        if len(outside := index[(index < 0) | (index >= len(self))]):
            raise InputError(f"{self.path}: {len(self)} rows show the chosen classes, there is no row {outside[0]}")
        return self._store.rows(self._chosen[index])

    @cached_property
    def paths(self) -> list[str] | None:
        paths = self._store.paths
        return None if paths is None else [paths[row] for row in self._chosen]

    @cached_property
    def class_names(self) -> list[str] | None:
        return self._store.class_names

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.labels, self.paths, [fingerprint(block) for _, block, _ in self.iter_blocks()])

    def _block(self, start: int, stop: int) -> np.ndarray:
        return self._store.rows(self._chosen[start:stop])


class ValidationSplit(ClassSplit):
    """A class split without a test half."""

    def __init__(self, base_1: np.ndarray, novel_1: np.ndarray, label_names: list[str]) -> None:
        self.label_names = label_names
        self.base_1, self.novel_1 = base_1, novel_1

    @cached_property
    def base(self) -> np.ndarray:
        return np.sort(self.base_1)

    @cached_property
    def novel(self) -> np.ndarray:
        return np.sort(self.novel_1)

    def setup(self, name: str) -> Setup:
        if name != "val":
            raise InputError(f"setup {name!r} does not exist here: these are the validation classes alone")
        return Setup("val", self.base_1, self.novel_1)

    def to_json(self, path: str | Path) -> None:
        raise InputError("half a class split cannot be written: it would read back as something else")

    def __repr__(self) -> str:
        return f"<ValidationSplit: base {len(self.base_1)}, novel {len(self.novel_1)} of {self.num_classes} classes>"

    def _groups(self) -> list[np.ndarray]:
        return [self.base_1, self.novel_1]


def _shots_of(
    classes: np.ndarray, experiments: Experiments, rows: np.ndarray, n_experiments: int | None
) -> Experiments:
    """The draws of ``classes`` alone, as places in the ascending ``rows``; other classes have no shots."""
    if n_experiments is not None and not 1 <= n_experiments <= len(experiments):
        raise InputError(f"{n_experiments} experiments are asked for, but there are {len(experiments)}")
    kept = set(classes.tolist())
    draws, paths = [], []
    for number, draw in enumerate(experiments.rows[:n_experiments], 1):
        for label in classes.tolist():
            if len(strange := np.setdiff1d(draw[label], rows)):
                raise InputError(
                    f"experiment {number} lists row {strange[0]} as a shot of class {experiments.describe(label)}, but "
                    "the data have no validation class there: the experiments were made for other data"
                )
        draws.append([np.searchsorted(rows, shots) if c in kept else shots[:0] for c, shots in enumerate(draw)])
        if experiments.paths is not None:
            paths.append([images if c in kept else [] for c, images in enumerate(experiments.paths[number - 1])])
    return Experiments(draws, paths or None, experiments.class_names)
