"""Drawing N-way K-shot episodes of novel classes, to measure on.

:mod:`lowshot.classifiers.training_episodes` draws episodes of *base* classes, to train on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lowshot.classifiers.training_episodes import distinct
from lowshot.data import ClassSplit
from lowshot.errors import InputError
from lowshot.files import fingerprint

# Episodes that are drawn from one random stream: 600 episodes are the first 600 of 10 000.
DRAWN_TOGETHER = 100


@dataclass(frozen=True)
class EpisodeDesign:
    """The design of a set of episodes.

    Attributes:
        n_way (int): N, the novel classes of an episode.
        n_shots (int): K, the shots of each.
        n_query (int): Q, the queries of each.
        n_tasks (int): The number of episodes.
    """

    n_way: int = 5
    n_shots: int = 1
    n_query: int = 15
    n_tasks: int = 600


class Episodes(NamedTuple):
    """Some episodes, as rows of a features file.

    Attributes:
        classes (int64 array of shape (T, N)): Places among the novel classes.
        shots (int64 array of shape (T, N, K)): Rows.
        queries (int64 array of shape (T, N, Q)): Rows, none of them a shot of its episode.
    """

    classes: np.ndarray
    shots: np.ndarray
    queries: np.ndarray


class NovelEpisodeSampler:
    """Draws the episodes of one design from labelled rows; the t-th depends on rows, design and seed alone.

    Args:
        rows (sequence of int arrays): The rows that show each novel class, at least K + Q of every one.
        design (EpisodeDesign): The design.
        seed (int): Any non-negative number.
    """

    def __init__(self, rows: Sequence[np.ndarray], design: EpisodeDesign, seed: int) -> None:
        self.design = design
        self.seed = seed
        self._sizes = np.array([len(own) for own in rows])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._rows = np.concatenate(rows)

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the episodes: methods with the same one were measured on the same episodes."""
        return fingerprint(asdict(self.design), self.seed, self._sizes, self._rows)

    @cached_property
    def rows(self) -> np.ndarray:
        """The (R,) int64 numbers of the rows that an episode may hold, ascending."""
        return np.sort(self._rows)

    def __iter__(self) -> Iterator[Episodes]:
        """All episodes, ``DRAWN_TOGETHER`` at a time."""
        for first in range(0, self.design.n_tasks, DRAWN_TOGETHER):
            episodes = self._block(first // DRAWN_TOGETHER)
            yield Episodes(*(part[: self.design.n_tasks - first] for part in episodes))

    def _block(self, number: int) -> Episodes:
        n_way, n_shots, n_query = self.design.n_way, self.design.n_shots, self.design.n_query
        rng = np.random.default_rng([self.seed, number])
        classes = distinct(rng, np.full(DRAWN_TOGETHER, len(self._sizes)), n_way)
        places = distinct(rng, self._sizes[classes.ravel()], n_shots + n_query)
        rows = self._rows[self._starts[classes.ravel(), None] + places].reshape(DRAWN_TOGETHER, n_way, -1)
        return Episodes(classes, rows[..., :n_shots], rows[..., n_shots:])


def novel_rows(
    labels: Mapping[str, np.ndarray], split: ClassSplit, setup: str, design: EpisodeDesign
) -> tuple[str, list[np.ndarray]]:
    """The part that a design's images come from, and the rows there of each novel class of the setup.

    Shots and queries of a class come from one part, so that they differ in nothing but chance: from the test part
    where every novel class has K + Q images there, else from the train part. No novel image of either part has been
    learned from.

    Args:
        labels (dict): The labels of the rows of both parts, "test" and "train".
        split (ClassSplit): The base and novel classes.
        setup (str): "test" or "val".
        design (EpisodeDesign): The design.

    Raises:
        InputError: There are fewer than N novel classes, or a class has too few images in both parts.
    """
    novel, needed = np.sort(split.setup(setup).novel), design.n_shots + design.n_query
    if design.n_way > len(novel):
        fewer = f"set episodes.n_way={len(novel)}, or " if len(novel) > 1 else ""
        raise InputError(
            f"episodes of n_way={design.n_way} classes need as many novel classes, but setup {setup!r} has "
            f"{len(novel)}: {fewer}give split.novel more classes"
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
        f"in one part, but there are only {found}: {_that_fits(design, max(fewest.values())[0])}"
    )


def _that_fits(design: EpisodeDesign, images: int) -> str:
    """The advice for episodes that need more images of a class than there are."""
    if images > design.n_shots:
        return f"set episodes.n_query={images - design.n_shots}, or take fewer episodes.n_shots"
    if images > 1:
        return f"set episodes.n_shots=[1] and episodes.n_query={images - 1}"
    return "leave the class out of split.novel"
