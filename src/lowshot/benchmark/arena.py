"""What one setup may see: its base examples, shots and queries, and nothing of any other class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lowshot.benchmark.metrics import Standing, join, standing
from lowshot.classifiers.base import LowShotClassifier
from lowshot.data import ClassSplit, Experiments
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.io import fingerprint

_QUERY_BLOCK = 8192


@dataclass
class Arena:
    """The features of one setup, read once."""

    train: FeatureStore
    test: FeatureStore
    split: ClassSplit
    experiments: Experiments
    setup: str

    def __post_init__(self) -> None:
        self.classes = self.split.setup(self.setup)
        self.label_space = np.sort(np.concatenate([self.classes.base, self.classes.novel]))
        self.query_rows = self.test.rows_of(self.label_space)
        self.query_labels = self.test.labels[self.query_rows]
        for store, needed in ((self.test, self.label_space), (self.train, self.classes.base)):
            if len(absent := np.setdiff1d(needed, store.labels)):
                raise InputError(
                    f"{store.path} has no image of class {self.split.describe(int(absent[0]))}, "
                    f"which setup {self.setup!r} needs there"
                )

    @cached_property
    def data(self) -> dict[str, Any]:
        """Which images and classes a number is about, so that results of other data are not taken for comparable."""
        listings = {
            part: fingerprint(store.labels.astype(np.int64), store.paths)
            for part, store in (("train", self.train), ("test", self.test))
        }
        sizes = {"base": len(self.classes.base), "novel": len(self.classes.novel), "classes": self.split.num_classes}
        return {**listings, "split": self.split.fingerprint, **sizes}

    @property
    def features(self) -> str:
        """A digest of both features files: what tells representations apart whatever they are called."""
        return fingerprint(self.train.fingerprint, self.test.fingerprint)

    def read_base(self) -> tuple[np.ndarray, np.ndarray]:
        """Features (M, D) and labels (M,) of the base classes; not kept here, for there may be gigabytes."""
        rows = self.train.rows_of(self.classes.base)
        return self.train.rows(rows), self.train.labels[rows]

    @cached_property
    def queries(self) -> np.ndarray:
        return self.test.rows(self.query_rows)

    def shots(self, experiment: int, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Features and labels of the shots of one run."""
        rows = self.experiments.shots(experiment, n, self.classes.novel)
        return self.train.rows(rows), self.train.labels[rows]

    def draw(self, experiment: int, n: int) -> str:
        """A digest of which rows are the shots of one run; methods with the same draw can be compared run by run."""
        return fingerprint(self.experiments.shots(experiment, n, self.classes.novel))

    def score(self, classifier: LowShotClassifier) -> Standing:
        """The queries' standing under a classifier of exactly the setup's classes."""
        order = np.argsort(classifier.classes_)
        columns = classifier.classes_[order]
        if not np.array_equal(columns, self.label_space):
            raise InputError(f"{type(classifier).__name__} must have the classes of its base and its shots as classes_")
        place = {name: np.searchsorted(columns, getattr(self.classes, name)) for name in ("base", "novel")}
        blocks = []
        for start in range(0, len(self.queries), _QUERY_BLOCK):
            rows = slice(start, start + _QUERY_BLOCK)
            scores = classifier.scores(self.queries[rows])[:, order]
            blocks.append(standing(scores, np.searchsorted(columns, self.query_labels[rows]), **place))
        return join(blocks)


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
