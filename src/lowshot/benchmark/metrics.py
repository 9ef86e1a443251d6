"""Every accuracy and every interval that lowshot reports, defined once.

A run's scores are summarised by the ranks of the true classes (:class:`TopKRanks`), from which follow the accuracies in
the joint space of base and novel classes. Means and 95 % intervals over experiments are those of
:func:`mean_and_half_width`; those over episodes of :func:`mean_over_episodes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowshot.errors import InputError

TOP = (1, 5)
_DEPTH = max(TOP)
_BLOCK_ELEMENTS = 1 << 22

METRICS = tuple(f"{scope}_top{k}" for scope in ("novel", "base", "all", "novel_only") for k in TOP)


# Of up to this many classes, five guesses name half or more: top-5 hardly tells one method from another.
FEW_CLASSES = 10


def informative_k(n_classes: int) -> int:
    """The k of the top-k accuracy that choices and tables are made by, unless another is asked for.

    Args:
        n_classes (int): The number of classes in the joint space.

    Returns:
        5 as in the paper; 1 for up to ten classes.
    """
    return 1 if n_classes <= FEW_CLASSES else 5


class NotANumberError(InputError):
    """A score is NaN, as after a training that diverged."""


def low_shot_metrics(scores: Any, labels: Any, base: Any, novel: Any) -> dict[str, float]:
    """The accuracies of one run.

    ``novel``, ``base`` and ``all`` compete over all columns (Hariharan & Girshick 2017, section 4.1): a query is right
    for top-k when fewer than k columns rank before its own. ``all`` is the mean over all queries. ``novel_only`` lets
    novel columns alone compete (Wang et al. 2018). Among equal scores the lower column ranks first.

    Args:
        scores (array of shape (N, C)): The scores, higher is likelier; column c is label c. ``-inf`` takes a class out
            of the competition.
        labels (int array of shape (N,)): The true labels, each in ``base`` or ``novel``.
        base (int array): The labels of the base classes.
        novel (int array): The labels of the novel classes.

    Returns:
        dict: Fractions ``novel_top1, novel_top5, base_top1, …, all_top5, novel_only_top1, novel_only_top5``. A scope
        without queries has no entry.

    Raises:
        InputError: Shapes do not fit, or a label is in neither group or in both.
        NotANumberError: An InputError as well; a score is NaN.
    """
    return top_k_ranks(scores, labels, base, novel).accuracies()


@dataclass(frozen=True)
class TopKRanks:
    """The rank of each query's true class, as far as any top-k accuracy up to 5 needs it, with any calibration bias.

    A bias is added to the scores of all novel classes, so the novel classes and all others are ranked separately.

    Attributes:
        novel (bool array of shape (N,)): True where the true class is novel.
        rank (int array of shape (N,)): The number of classes of its own kind, novel or not, that score higher.
        score (float64 array of shape (N,)): The score of the true class.
        column (int array of shape (N,)): The column of the true class.
        best (float64 array of shape (N,)): The highest score of its own kind.
        best_column (int array of shape (N,)): The column of that score, the lower one of several.
        others (float64 array of shape (N, 5)): The highest scores of the other kind, descending; ``-inf`` where it
            has fewer classes.
        other_columns (int array of shape (N, 5)): Their columns.
    """

    novel: np.ndarray
    rank: np.ndarray
    score: np.ndarray
    column: np.ndarray
    best: np.ndarray
    best_column: np.ndarray
    others: np.ndarray
    other_columns: np.ndarray

    def correct(self, k: int, bias: float = 0.0) -> np.ndarray:
        """(N,) bool: right within the top k of all classes, after ``bias`` is added to every novel score."""
        own = (self.score + np.where(self.novel, bias, -bias))[:, None]
        higher = (self.others > own) | ((self.others == own) & (self.other_columns < self.column[:, None]))
        return self.rank + higher.sum(axis=1) < k

    def answers(self, bias: float = 0.0) -> np.ndarray:
        """(N,) int: the column of the highest score, after ``bias`` is added to every novel score."""
        own, other, column = self.best + np.where(self.novel, bias, -bias), self.others[:, 0], self.other_columns[:, 0]
        return np.where((other > own) | ((other == own) & (column < self.best_column)), column, self.best_column)

    def accuracies(self, bias: float | None = None) -> dict[str, float]:
        """The accuracies of :func:`low_shot_metrics`; with a calibration bias also ``all_prior_top1`` and ``_top5``."""
        found: dict[str, float] = {}
        for k in TOP:
            right = self.correct(k)
            for scope, chosen in (("novel", self.novel), ("base", ~self.novel), ("all", slice(None))):
                if len(right[chosen]):
                    found[f"{scope}_top{k}"] = float(right[chosen].mean())
            if self.novel.any():
                found[f"novel_only_top{k}"] = float((self.rank[self.novel] < k).mean())
        ordered = {name: found[name] for name in METRICS if name in found}
        if bias is not None:
            ordered |= {f"all_prior_top{k}": float(self.correct(k, bias).mean()) for k in TOP}
        return ordered


def top_k_ranks(scores: Any, labels: Any, base: Any, novel: Any) -> TopKRanks:
    """Compute the ranks of one run.

    Args:
        scores (array of shape (N, C)): The scores, as :func:`low_shot_metrics` takes them.
        labels (int array of shape (N,)): The true labels.
        base (int array): The labels of the base classes.
        novel (int array): The labels of the novel classes.

    Raises:
        InputError: As :func:`low_shot_metrics`.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise InputError(
            f"scores {scores.shape} and labels {labels.shape}: expected (N, C) and (N,), with at least one query"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels must be integers, not {labels.dtype}")
    groups = _groups(base, novel, scores.shape[1])
    inside = (labels >= 0) & (labels < scores.shape[1])
    known = inside.copy()
    known[inside] = groups[:, labels[inside]].any(axis=0)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise InputError(f"query {row} has label {labels[row]}, which is neither a base nor a novel class")
    size = max(1, _BLOCK_ELEMENTS // scores.shape[1])
    blocks = [_block(scores[i : i + size], labels[i : i + size], groups, i) for i in range(0, len(labels), size)]
    return concatenate(blocks)


def concatenate(parts: Sequence[TopKRanks]) -> TopKRanks:
    """The queries of several parts, one after the other."""
    names = TopKRanks.__dataclass_fields__
    return TopKRanks(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def mean_and_half_width(values: Iterable[float]) -> tuple[float, float | None]:
    """The mean, and half the width of its 95 % interval by Student's t; None from a single value."""
    numbers = list(values)
    count = len(numbers)
    mean = math.fsum(numbers) / count  # exact sums: the order of the records changes no digit
    if count < 2:
        return mean, None
    from scipy.special import stdtrit  # imported here: the accuracies of a run do not need it

    variance = math.fsum((number - mean) ** 2 for number in numbers) / (count - 1)
    return mean, float(stdtrit(count - 1, 0.975)) * math.sqrt(variance / count)


def mean_over_shots(by_n_shots: Iterable[Mapping[int, float]]) -> dict[int, float]:
    """The mean of each experiment over its numbers of shots, as in the last row of the original's tables.

    Args:
        by_n_shots (iterable of dict): The accuracies, {experiment: accuracy}, at each number of shots.

    Returns:
        dict: {experiment: mean accuracy} of the experiments that were run at every number of shots.
    """
    columns = list(by_n_shots)
    complete = [e for e in (columns[0] if columns else ()) if all(e in column for column in columns)]
    return {e: float(np.mean([column[e] for column in columns])) for e in complete}


def episode_accuracies(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The share of right answers in each episode.

    Args:
        answers (int array of shape (T, Q)): The answered class of each query of each episode.
        truth (int array of shape (Q,)): The right class of each query.

    Returns:
        array of shape (T,): The accuracies.
    """
    return (answers == truth).mean(axis=1)


def mean_over_episodes(accuracies: np.ndarray) -> tuple[float, float | None]:
    """The mean accuracy of episodes and half its 95 % interval, 1.96 · s / √T, as the few-shot literature reports it.

    Args:
        accuracies (array, (T,)): The accuracy in each episode.

    Returns:
        The two as floats, in the unit of ``accuracies``; for the second None from one episode.
    """
    count = len(accuracies)
    if count < 2:
        return float(accuracies.mean()), None
    return float(accuracies.mean()), 1.96 * float(accuracies.std(ddof=1)) / math.sqrt(count)


def _block(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, first: int) -> TopKRanks:
    if np.isnan(scores).any():
        row, column = np.argwhere(np.isnan(scores))[0]
        raise NotANumberError(f"the score of query {first + row} for class {column} is NaN")
    columns = np.arange(scores.shape[1])
    # Columns that are neither base nor novel compete as well, as base columns do: no bias is added to them.
    rest = ~groups[1]
    novel = groups[1][labels]
    score = scores[np.arange(len(labels)), labels]
    higher = scores > score[:, None]
    higher |= (scores == score[:, None]) & (columns < labels[:, None])
    rank = np.where(novel, higher[:, groups[1]].sum(axis=1), higher[:, rest].sum(axis=1))
    others = np.full((len(labels), _DEPTH), -np.inf)
    other_columns = np.full((len(labels), _DEPTH), scores.shape[1])
    best_column = np.empty(len(labels), dtype=np.int64)
    for queries, own, others_of in ((novel, groups[1], rest), (~novel, rest, groups[1])):
        if queries.any():
            best_column[queries] = columns[own][scores[np.ix_(queries, own)].argmax(axis=1)]
        if queries.any() and others_of.any():
            found = _highest(scores[np.ix_(queries, others_of)], columns[others_of])
            others[queries], other_columns[queries] = found
    best = scores[np.arange(len(labels)), best_column].astype(np.float64)
    own_score, column = score.astype(np.float64), labels.astype(np.int64)
    return TopKRanks(novel, rank, own_score, column, best, best_column, others, other_columns)


def _highest(scores: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The five highest scores of each row, descending, lower columns first among equals, and their columns."""
    n, width = scores.shape
    if width > _DEPTH:
        top = np.argpartition(scores, width - _DEPTH, axis=1)[:, width - _DEPTH :]
        lowest = np.take_along_axis(scores, top, axis=1).min(axis=1, keepdims=True)
        # A partition keeps any of several equal scores; which ones it may keep is settled by a full, stable sort.
        if len(tied := np.flatnonzero((scores >= lowest).sum(axis=1) > _DEPTH)):
            top[tied] = np.argsort(-scores[tied], axis=1, kind="stable")[:, :_DEPTH]
        top.sort(axis=1)
    else:
        top = np.broadcast_to(np.arange(width), (n, width))
    values = np.take_along_axis(scores, top, axis=1).astype(np.float64)
    order = np.argsort(-values, axis=1, kind="stable")
    pad = ((0, 0), (0, _DEPTH - order.shape[1]))
    return (
        np.pad(np.take_along_axis(values, order, axis=1), pad, constant_values=-np.inf),
        np.pad(columns[np.take_along_axis(top, order, axis=1)], pad, constant_values=np.iinfo(np.int64).max),
    )


def _groups(base: Any, novel: Any, num_columns: int) -> np.ndarray:
    """(2, C) bool: the base columns and the novel ones."""
    groups = np.zeros((2, num_columns), dtype=bool)
    for group, classes, name in zip(groups, (base, novel), ("base", "novel")):
        classes = np.asarray(classes, dtype=np.int64).reshape(-1)
        if len(outside := classes[(classes < 0) | (classes >= num_columns)]):
            raise InputError(f"{name} class {outside[0]} has no column: the scores have {num_columns}")
        group[classes] = True
    if (groups[0] & groups[1]).any():
        raise InputError(f"class {np.flatnonzero(groups[0] & groups[1])[0]} is base and novel: a class has one role")
    return groups
