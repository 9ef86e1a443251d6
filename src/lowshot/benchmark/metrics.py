"""Accuracies in the joint space of base and novel classes, from one compact summary of the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowshot.errors import InputError

TOP = (1, 5)
_DEPTH = max(TOP)
_BLOCK_ELEMENTS = 1 << 22

METRICS = tuple(f"{scope}_top{k}" for scope in ("novel", "base", "all", "novel_only") for k in TOP)


class NotANumberError(InputError):
    """A score is NaN, as after a training that diverged."""


def low_shot_metrics(scores: Any, labels: Any, base: Any, novel: Any) -> dict[str, float]:
    """The accuracies of one run, as fractions.

    ``novel``, ``base`` and ``all`` compete over all columns (Hariharan & Girshick 2017, section 4.1): a query is right
    for top-k when fewer than k columns stand before its own. ``all`` is the mean over all queries. ``novel_only`` lets
    novel columns alone compete (Wang et al. 2018). Among equal scores the lower column stands first.

    Args:
        scores: (N, C) scores, higher is likelier; column c is label c. ``-inf`` marks a class out of play.
        labels: (N,) integer labels, each in ``base`` or ``novel``.
        base: labels of the base classes.
        novel: labels of the novel classes.

    Returns:
        ``novel_top1, novel_top5, base_top1, …, all_top5, novel_only_top1, novel_only_top5``. A scope without queries
        has no entry.

    Raises:
        InputError: shapes do not fit, or a label is in neither group or in both.
        NotANumberError: an InputError as well; a score is NaN.
    """
    return standing(scores, labels, base, novel).metrics()


@dataclass(frozen=True)
class Standing:
    """How the true class of each query stands among the others: all that any top-k accuracy up to 5 needs.

    Attributes:
        novel: (N,) bool, whether the true class is novel.
        ahead: (N,) how many classes of its own side (novel, or all the rest) stand before it.
        score: (N,) float64, the score of the true class.
        column: (N,) the column of the true class.
        rivals: (N, 5) float64, the highest scores of the other side, descending; ``-inf`` where it has fewer.
        rival_columns: (N, 5) their columns.
    """

    novel: np.ndarray
    ahead: np.ndarray
    score: np.ndarray
    column: np.ndarray
    rivals: np.ndarray
    rival_columns: np.ndarray

    def correct(self, k: int, bias: float = 0.0) -> np.ndarray:
        """(N,) bool: right within the top k of all classes, after ``bias`` is added to every novel score."""
        lead = np.where(self.novel, bias, -bias)
        mine = (self.score + lead)[:, None]
        before = (self.rivals > mine) | ((self.rivals == mine) & (self.rival_columns < self.column[:, None]))
        return self.ahead + before.sum(axis=1) < k

    def metrics(self) -> dict[str, float]:
        """The accuracies of :func:`low_shot_metrics`."""
        found: dict[str, float] = {}
        for k in TOP:
            right = self.correct(k)
            for scope, chosen in (("novel", self.novel), ("base", ~self.novel), ("all", slice(None))):
                if len(right[chosen]):
                    found[f"{scope}_top{k}"] = float(right[chosen].mean())
            if self.novel.any():
                found[f"novel_only_top{k}"] = float((self.ahead[self.novel] < k).mean())
        return {name: found[name] for name in METRICS if name in found}


def standing(scores: Any, labels: Any, base: Any, novel: Any) -> Standing:
    """Summarise (N, C) scores; arguments and errors are those of :func:`low_shot_metrics`."""
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
    return join(blocks)


def join(standings: Sequence[Standing]) -> Standing:
    """The queries of several summaries, one after the other."""
    names = Standing.__dataclass_fields__
    return Standing(**{name: np.concatenate([getattr(one, name) for one in standings]) for name in names})


def _block(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, first: int) -> Standing:
    if np.isnan(scores).any():
        row, column = np.argwhere(np.isnan(scores))[0]
        raise NotANumberError(f"the score of query {first + row} for class {column} is NaN")
    columns = np.arange(scores.shape[1])
    # Columns that are neither base nor novel compete as well, on the side of the base: no bias is added to them.
    rest = ~groups[1]
    novel = groups[1][labels]
    score = scores[np.arange(len(labels)), labels]
    before = scores > score[:, None]
    before |= (scores == score[:, None]) & (columns < labels[:, None])
    ahead = np.where(novel, before[:, groups[1]].sum(axis=1), before[:, rest].sum(axis=1))
    rivals = np.full((len(labels), _DEPTH), -np.inf)
    rival_columns = np.full((len(labels), _DEPTH), scores.shape[1])
    for own, others in ((novel, rest), (~novel, groups[1])):
        if own.any() and others.any():
            rivals[own], rival_columns[own] = _highest(scores[np.ix_(own, others)], columns[others])
    return Standing(novel, ahead, score.astype(np.float64), labels.astype(np.int64), rivals, rival_columns)


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
    """(2, C) bool: which columns are base and which novel."""
    groups = np.zeros((2, num_columns), dtype=bool)
    for group, classes, name in zip(groups, (base, novel), ("base", "novel")):
        classes = np.asarray(classes, dtype=np.int64).reshape(-1)
        if len(outside := classes[(classes < 0) | (classes >= num_columns)]):
            raise InputError(f"{name} class {outside[0]} has no column: the scores have {num_columns}")
        group[classes] = True
    if (groups[0] & groups[1]).any():
        raise InputError(f"class {np.flatnonzero(groups[0] & groups[1])[0]} is base and novel: a class has one role")
    return groups
