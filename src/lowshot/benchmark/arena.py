"""What one setup may see: its base examples, shots and queries, and nothing of any other class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lowshot.benchmark.packed import PackedArena, Scratch, write_array, write_rows
from lowshot.data import ClassSplit, Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import fingerprint


class BenchmarkData:
    """Features, split and experiments that belong together; made once for all methods that are measured on them.

    Args:
        train: features that base examples and shots are taken from.
        test: features of the queries.
        split: which classes are base and novel.
        experiments: which rows of ``train`` are shots.

    Raises:
        InputError: widths or backbones differ, a label is outside the split, or the experiments are of other data.
    """

    def __init__(self, train: FeatureStore, test: FeatureStore, split: ClassSplit, experiments: Experiments) -> None:
        check_inputs(train, test, split, experiments)
        self.train = train
        self.test = test
        self.split = split
        self.experiments = experiments
        self._arenas: dict[str, Arena] = {}

    def arena(self, setup: str) -> Arena:
        """The classes, rows and draws of one setup.

        Raises:
            InputError: an unknown setup, or a class of it has no images.
        """
        if setup not in self._arenas:
            self._arenas[setup] = Arena(self, setup)
        return self._arenas[setup]

    @cached_property
    def fingerprints(self) -> list[str]:
        """Digests of the features files and of the split."""
        return [self.train.fingerprint, self.test.fingerprint, self.split.fingerprint]


class Arena:
    """One setup of the data: its classes and the rows of its base examples, queries and shots."""

    def __init__(self, data: BenchmarkData, setup: str) -> None:
        self.data = data
        self.setup = setup
        self.classes = data.split.setup(setup)
        self.label_space = np.sort(np.concatenate([self.classes.base, self.classes.novel]))
        self._draws: dict[tuple[int, range], np.ndarray] = {}
        self._draw_names: dict[tuple[int, range], list[str]] = {}
        for store, needed in ((data.test, self.label_space), (data.train, self.classes.base)):
            if len(absent := np.setdiff1d(needed, store.labels)):
                raise InputError(
                    f"{store.path} has no image of class {data.split.describe(int(absent[0]))}, "
                    f"which setup {setup!r} needs there"
                )

    def draws(self, n: int, experiments: range) -> np.ndarray:
        """(E, N · n) rows of the train features: the shots of some experiments, class after class.

        Raises:
            InputError: a class has fewer than ``n`` shots.
        """
        key = n, experiments
        if key not in self._draws:
            found = [self.data.experiments.shots(e, n, self.classes.novel) for e in experiments]
            self._draws[key] = np.stack(found)
        return self._draws[key]

    @cached_property
    def about(self) -> dict[str, Any]:
        """Entries of a record: which images, classes and features it is about, so that others can be told apart."""
        data = self.data
        listings = {
            part: fingerprint(store.labels.astype(np.int64), store.paths)
            for part, store in (("train", data.train), ("test", data.test))
        }
        sizes = {"base": len(self.classes.base), "novel": len(self.classes.novel), "classes": data.split.num_classes}
        train, test, split = data.fingerprints
        return {"data": {**listings, "split": split, **sizes}, "features": fingerprint(train, test)}

    def draw_names(self, n: int, experiments: range) -> list[str]:
        """Digests of which rows are the shots of each run; methods with the same draw can be compared run by run."""
        key = n, experiments
        if key not in self._draw_names:
            self._draw_names[key] = [fingerprint(rows) for rows in self.draws(n, experiments)]
        return self._draw_names[key]

    def pack(self, scratch: Scratch, n_shots: Sequence[int]) -> PackedArena:
        """Write what the setup sees to plain files, which all processes map; done once however often it is called."""
        most = max(n_shots)
        draws = self.draws(most, range(1, len(self.data.experiments) + 1))
        folder = scratch.folder / fingerprint(self.data.fingerprints, self.setup, most, draws)
        train, test = self.data.train, self.data.test
        base, queries = train.rows_of(self.classes.base), test.rows_of(self.label_space)
        shots, places = np.unique(draws, return_inverse=True)
        write_rows(folder / "base.npy", train, base)
        write_array(folder / "base_labels.npy", train.labels[base])
        write_rows(folder / "queries.npy", test, queries)
        write_array(folder / "query_labels.npy", test.labels[queries])
        write_array(folder / "query_rows.npy", queries)
        write_rows(folder / "shots.npy", train, shots)
        write_array(folder / "places.npy", places.reshape(len(draws), len(self.classes.novel), most))
        return PackedArena(folder, self.classes)


def check_inputs(train: FeatureStore, test: FeatureStore, split: ClassSplit, experiments: Experiments) -> None:
    """Refuse features, a split and experiments that do not belong together.

    Raises:
        InputError: widths or backbones differ, a label is outside the split, or the experiments are of other data.
    """
    if train.dim != test.dim:
        raise InputError(
            f"{train.path} has {train.dim} features per image and {test.path} {test.dim}: "
            "they come from different backbones"
        )
    key = "backbone_fingerprint"
    if key in train.attributes and key in test.attributes and train.attributes[key] != test.attributes[key]:
        raise InputError(
            f"{train.path} and {test.path} come from different weights of the backbone: extract both again"
        )
    for store in (train, test):
        try:
            split.check_labels(store.labels)
        except InputError as error:
            raise InputError(f"{store.path}: {error}") from None
    try:
        experiments.check(train.labels, train.paths)
    except InputError as error:
        raise InputError(f"{train.path}: {error}") from None
