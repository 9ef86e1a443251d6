"""The features of one setup: its base examples, shots and queries, without those of any other class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lowshot.benchmark.input_checks import check_inputs
from lowshot.benchmark.metrics import TopKRanks, concatenate, top_k_ranks
from lowshot.data import ClassSplit, Experiments
from lowshot.data.splits import Setup
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import fingerprint
from lowshot.parallel.shared_arrays import Scratch, SharedArrays

if TYPE_CHECKING:
    from lowshot.classifiers.base import LowShotClassifier

_BLOCK_ROWS = 65536
_QUERY_BLOCK = 8192


class BenchmarkData:
    """Features, split and experiments that belong together, for all methods that are measured on them.

    Args:
        train (FeatureStore): The features that base examples and shots are taken from.
        test (FeatureStore): The features of the queries.
        split (ClassSplit): The base and novel classes.
        experiments (Experiments): The rows of ``train`` that are shots.

    Raises:
        InputError: Widths, backbones or class names differ, a label is outside the split, or the experiments are of
            other data.
    """

    def __init__(self, train: FeatureStore, test: FeatureStore, split: ClassSplit, experiments: Experiments) -> None:
        check_inputs(train, test, split, experiments)
        self.train, self.test, self.split, self.experiments = train, test, split, experiments
        # Every method uses the same values.
        self.describe = cache(self._describe)
        self.draws = cache(self._draws)
        self.draw_fingerprints = cache(self._draw_fingerprints)

    @cached_property
    def fingerprints(self) -> list[str]:
        """Fingerprints of the features files and of the split."""
        return [self.train.fingerprint, self.test.fingerprint, self.split.fingerprint]

    def setup(self, name: str, scratch: Scratch, max_shots: int) -> SetupData:
        """The features of one setup, in files that :meth:`share` writes.

        Args:
            name (str): "val" or "test".
            scratch (Scratch): The folder for the files.
            max_shots (int): The largest number of shots that will be asked for.

        Raises:
            InputError: An unknown setup, or a class of it has no images or too few shots.
        """
        classes = self.split.setup(name)
        for store, needed in ((self.test, [*classes.base, *classes.novel]), (self.train, classes.base)):
            if len(absent := np.setdiff1d(needed, store.labels)):
                raise InputError(
                    f"{store.path} has no image of class {self.split.describe(int(absent[0]))}, "
                    f"which setup {name!r} needs there"
                )
        content = fingerprint(self.fingerprints, name, max_shots, self.draw_fingerprints(name, max_shots, self._all))
        return SetupData(classes, SharedArrays(scratch.folder / content), max_shots)

    def share(self, setup: SetupData) -> None:
        """Write the arrays of a setup for all processes to map; done once, however often it is called."""
        draws = self.draws(setup.name, setup.max_shots, self._all)
        shots, indices = np.unique(draws, return_inverse=True)
        base, queries = self.train.rows_of(setup.classes.base), self.test.rows_of(setup.label_space)
        arrays = setup.arrays
        for name, store, rows in (("base", self.train, base), ("queries", self.test, queries)):
            _share_rows(arrays, name, store, rows)
        _share_rows(arrays, "shots", self.train, shots)
        arrays.write("base_labels", self.train.labels[base])
        arrays.write("query_labels", self.test.labels[queries])
        arrays.write("query_rows", queries)
        arrays.write("places", indices.reshape(len(draws), len(setup.classes.novel), setup.max_shots))

    @property
    def _all(self) -> range:
        return range(1, len(self.experiments) + 1)

    def _describe(self, setup: str) -> dict[str, Any]:
        """The entries of a record that say which images, classes and features it is about."""
        classes = self.split.setup(setup)
        listings = {
            part: fingerprint(store.labels.astype(np.int64), store.paths)
            for part, store in (("train", self.train), ("test", self.test))
        }
        sizes = {"base": len(classes.base), "novel": len(classes.novel), "classes": self.split.num_classes}
        train, test, split = self.fingerprints
        return {"data": {**listings, "split": split, **sizes}, "features": fingerprint(train, test)}

    def _draws(self, setup: str, n: int, experiments: range) -> np.ndarray:
        """(E, N · n) rows of the train features: the shots of some experiments, class after class.

        Raises:
            InputError: A class has fewer than ``n`` shots.
        """
        novel = self.split.setup(setup).novel
        return np.stack([self.experiments.shots(experiment, n, novel) for experiment in experiments])

    def _draw_fingerprints(self, setup: str, n: int, experiments: range) -> list[str]:
        """The fingerprint of each run's shots; methods with the same shots can be compared run by run."""
        return [fingerprint(rows) for rows in self.draws(setup, n, experiments)]


def _share_rows(arrays: SharedArrays, name: str, store: FeatureStore, rows: np.ndarray) -> None:
    def blocks() -> Iterator[np.ndarray]:
        return (store.rows(rows[start : start + _BLOCK_ROWS]) for start in range(0, len(rows), _BLOCK_ROWS))

    arrays.write_rows(name, (len(rows), store.dim), blocks)


@dataclass(frozen=True)
class SetupData:
    """The features of one setup, as a task sees them; pickles as the name of a folder.

    Attributes:
        classes (Setup): The base and novel classes.
        arrays (SharedArrays): ``base`` (M, D), ``base_labels`` (M,), ``queries`` (Q, D), ``query_labels`` (Q,),
            ``query_rows`` (Q,), ``shots`` (S, D), and ``places`` (E, N, n): the rows of ``shots`` that
            each experiment draws of each class.
        max_shots (int): The largest number of shots there is.
    """

    classes: Setup
    arrays: SharedArrays
    max_shots: int

    @property
    def name(self) -> str:
        """The setup, "val" or "test"."""
        return self.classes.name

    @cached_property
    def label_space(self) -> np.ndarray:
        """The (C,) int64 labels of all classes, ascending."""
        return np.sort(np.concatenate([self.classes.base, self.classes.novel]))

    def base_examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Features (M, D) and labels (M,) of the base classes."""
        return self.arrays["base"], self.arrays["base_labels"]

    def shots(self, experiment: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Features (N · n, D) and labels of the shots of one run, class after class."""
        rows = self.arrays["places"][experiment - 1, :, :n].ravel()
        return self.arrays["shots"][rows], np.repeat(self.classes.novel, n)

    def ranks(self, classifier: LowShotClassifier) -> TopKRanks:
        """The ranks of the queries' classes; classes beyond the setup's compete as base classes do.

        Raises:
            InputError: The classifier lacks a class of the setup.
        """
        order = np.argsort(classifier.classes_)
        columns = classifier.classes_[order]
        if not np.isin(self.label_space, columns).all():
            raise InputError(f"{type(classifier).__name__} must have the classes of its base and its shots as classes_")
        base, novel = (np.searchsorted(columns, classes) for classes in (self.classes.base, self.classes.novel))
        queries, labels = self.arrays["queries"], self.arrays["query_labels"]
        blocks = []
        for start in range(0, len(queries), _QUERY_BLOCK):
            rows = slice(start, start + _QUERY_BLOCK)
            scores = classifier.scores(queries[rows])[:, order]
            blocks.append(top_k_ranks(scores, np.searchsorted(columns, labels[rows]), base, novel))
        return concatenate(blocks)
