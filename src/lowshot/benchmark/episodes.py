"""Standard N-way K-shot episodes: thousands of small tasks of a few novel classes each, with the usual interval.

Vinyals et al. (2016, arXiv 1606.04080) and most of the few-shot literature measure on these: a task has N novel
classes, K shots and Q queries of each, the answer is one of the N, and the score is the mean accuracy over tasks.
:mod:`lowshot.classifiers.episodes` draws episodes of *base* classes, to train on; those here are of novel classes, to
measure on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lowshot.classifiers.episodes import distinct
from lowshot.data import ClassSplit
from lowshot.errors import InputError
from lowshot.files import fingerprint

# Tasks that are drawn from one random stream: 600 tasks are the first 600 of 10 000.
DRAWN_TOGETHER = 100


@dataclass(frozen=True)
class EpisodeDesign:
    """What a task is.

    Attributes:
        n_way: N, novel classes of a task.
        n_shots: K, shots of each.
        n_query: queries of each.
        n_tasks: how many tasks.
    """

    n_way: int = 5
    n_shots: int = 1
    n_query: int = 15
    n_tasks: int = 600


class Tasks(NamedTuple):
    """Some tasks, as rows of a features file.

    Attributes:
        classes: (T, N) int64 places among the novel classes.
        shots: (T, N, K) int64 rows.
        queries: (T, N, Q) int64 rows, none of them a shot of its task.
    """

    classes: np.ndarray
    shots: np.ndarray
    queries: np.ndarray


class TaskSampler:
    """Draws the tasks of one design from labelled rows; the t-th depends on rows, design and seed alone.

    Args:
        rows: for each novel class the rows that show it.
        design: what a task is; every class has at least K + Q rows.
        seed: any non-negative number.
    """

    def __init__(self, rows: Sequence[np.ndarray], design: EpisodeDesign, seed: int) -> None:
        self.design = design
        self.seed = seed
        self._sizes = np.array([len(own) for own in rows])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._rows = np.concatenate(rows)

    @cached_property
    def digest(self) -> str:
        """What tells the tasks apart: methods with the same digest had the same tasks."""
        return fingerprint(asdict(self.design), self.seed, self._sizes, self._rows)

    @cached_property
    def rows(self) -> np.ndarray:
        """Every row that a task may hold, ascending."""
        return np.sort(self._rows)

    def __iter__(self) -> Iterator[Tasks]:
        """All tasks, ``DRAWN_TOGETHER`` at a time."""
        for first in range(0, self.design.n_tasks, DRAWN_TOGETHER):
            tasks = self._block(first // DRAWN_TOGETHER)
            yield Tasks(*(part[: self.design.n_tasks - first] for part in tasks))

    def _block(self, number: int) -> Tasks:
        n_way, n_shots, n_query = self.design.n_way, self.design.n_shots, self.design.n_query
        rng = np.random.default_rng([self.seed, number])
        classes = distinct(rng, np.full(DRAWN_TOGETHER, len(self._sizes)), n_way)
        places = distinct(rng, self._sizes[classes.ravel()], n_shots + n_query)
        rows = self._rows[self._starts[classes.ravel(), None] + places].reshape(DRAWN_TOGETHER, n_way, -1)
        return Tasks(classes, rows[..., :n_shots], rows[..., n_shots:])


def novel_rows(
    labels: Mapping[str, np.ndarray], split: ClassSplit, setup: str, design: EpisodeDesign
) -> tuple[str, list[np.ndarray]]:
    """The part that a design's images come from, and for each novel class of the setup its rows there.

    Shots and queries of a class come from one part, so that they differ in nothing but chance: from the test part
    where every novel class has K + Q images there, else from the train part. No novel image of either part has been
    learned from.

    Args:
        labels: of the rows of the parts, "test" and "train".
        split: which classes are novel.
        setup: "test" or "val".
        design: what a task is.

    Raises:
        InputError: there are fewer than N novel classes, or a class has too few images in both parts.
    """
    novel, needed = np.sort(split.setup(setup).novel), design.n_shots + design.n_query
    if design.n_way > len(novel):
        raise InputError(
            f"episodes of n_way={design.n_way} classes need as many novel classes, but setup {setup!r} has {len(novel)}"
        )
    fewest = {}
    for part in ("test", "train"):
        order = np.argsort(labels[part], kind="stable")
        bounds = np.searchsorted(labels[part][order], [novel, novel + 1])
        rows = [order[start:stop] for start, stop in bounds.T]
        fewest[part] = min(zip((len(own) for own in rows), novel.tolist()))
        if fewest[part][0] >= needed:
            return part, rows
    found = " and ".join(
        f"{size} of class {split.describe(label)} in the {part} part" for part, (size, label) in fewest.items()
    )
    raise InputError(
        f"episodes of n_shots={design.n_shots} and n_query={design.n_query} need {needed} images of every novel class "
        f"in one part, but there are only {found}: take a smaller n_query or fewer n_shots"
    )


def mean_over_tasks(accuracies: np.ndarray) -> tuple[float, float | None]:
    """The mean, and 1.96 · s / √T, half the normal 95 % interval that the literature gives; None from one task."""
    count = len(accuracies)
    if count < 2:
        return float(accuracies.mean()), None
    return float(accuracies.mean()), 1.96 * float(accuracies.std(ddof=1)) / math.sqrt(count)
