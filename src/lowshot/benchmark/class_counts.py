"""The entries of a record beyond its accuracies: right answers of each class, and which classes are confused.

They are counts and no scores, so that they take a few bytes for each class and run. Lists "by class" have the base
classes first and then the novel ones, each ascending; the first record of a task says which classes these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowshot.benchmark.metrics import TOP, TopKRanks
from lowshot.data.splits import Setup
from lowshot.files import fingerprint

MOST_CONFUSIONS = 30
"""The most pairs of classes that the first record of a task lists."""


def class_order(setup: Setup) -> np.ndarray:
    """(C,) int64: the labels in the order of all lists by class."""
    return np.concatenate([np.sort(setup.base), np.sort(setup.novel)])


def run_counts(ranks: TopKRanks, labels: np.ndarray, setup: Setup, bias: float | None) -> dict[str, Any]:
    """The entries of one run.

    Args:
        ranks (TopKRanks): The ranks of the queries.
        labels (int array of shape (N,)): The true labels of the queries.
        setup (Setup): The base and novel classes.
        bias (float or None): The calibration bias whose accuracies the record has; None where it has none.

    Returns:
        dict: ``top1_by_class`` and ``top5_by_class``, the number of right answers in the joint space;
        ``novel_only_…_by_class`` for the novel classes alone; ``all_prior_…_by_class`` with a bias. ``answered_as``
        counts the queries of base and of novel classes that are answered with their own class, with another one of its
        kind, and with one of the other kind. ``answers`` is the fingerprint of all answers: runs of equal ones answer
        every query with the same class.
    """
    order = class_order(setup)
    counts: dict[str, Any] = {f"top{k}_by_class": _by_class(labels[ranks.correct(k)], order) for k in TOP}
    novel = ranks.novel
    counts |= {
        f"novel_only_top{k}_by_class": _by_class(labels[novel & (ranks.rank < k)], np.sort(setup.novel)) for k in TOP
    }
    if bias is not None:
        counts |= {f"all_prior_top{k}_by_class": _by_class(labels[ranks.correct(k, bias)], order) for k in TOP}
    answers = ranks.answers()
    counts["answered_as"] = _answered_as(ranks, answers)
    if bias is not None:
        counts["answered_as_prior"] = _answered_as(ranks, ranks.answers(bias))
    return {**counts, "answers": fingerprint(answers)}


def task_counts(
    runs: Sequence[TopKRanks], columns: np.ndarray, labels: np.ndarray, rows: np.ndarray, setup: Setup
) -> dict[str, Any]:
    """The entries of the first record of a task, about all its runs.

    Args:
        runs (sequence of TopKRanks): The ranks of the queries in each run.
        columns (int array of shape (C',)): The label of each column of their scores.
        labels (int array of shape (N,)): The true labels of the queries.
        rows (int array of shape (N,)): The rows of the queries in the test features.
        setup (Setup): The base and novel classes.

    Returns:
        dict: ``classes``, the labels of the base and of the novel ones; ``queries_by_class``; ``confusions``, the pairs
        of classes that are confused most often, as [true label, answered label, number of queries in all runs, row of
        the query that is confused in the most runs].
    """
    return {
        "classes": {"base": np.sort(setup.base).tolist(), "novel": np.sort(setup.novel).tolist()},
        "queries_by_class": _by_class(labels, class_order(setup)),
        "confusions": _confusions([columns[run.answers()] for run in runs], labels, rows),
    }


def _by_class(labels: np.ndarray, order: np.ndarray) -> list[int]:
    """How many of some labels are of each class."""
    found: list[int] = np.bincount(labels, minlength=int(order.max()) + 1)[order].tolist()
    return found


def _answered_as(ranks: TopKRanks, answers: np.ndarray) -> dict[str, list[int]]:
    right, own_kind = answers == ranks.column, answers == ranks.best_column
    return {
        name: [int(n) for n in (right[of].sum(), (own_kind & ~right)[of].sum(), (~own_kind)[of].sum())]
        for name, of in (("base", ~ranks.novel), ("novel", ranks.novel))
    }


def _confusions(answers: Sequence[np.ndarray], labels: np.ndarray, rows: np.ndarray) -> list[list[int]]:
    """The most frequent pairs first, and of equally frequent ones those of the lowest labels."""
    answered = np.stack(answers)
    wrong = answered != labels
    place = np.broadcast_to(np.arange(len(labels)), answered.shape)[wrong]
    confused, times = np.unique(np.stack([labels[place], answered[wrong], place]), axis=1, return_counts=True)
    pairs, first, pair = np.unique(confused[:2], axis=1, return_index=True, return_inverse=True)
    pair = pair.reshape(-1)
    counts = np.bincount(pair, weights=times, minlength=pairs.shape[1]).astype(int)
    found = []
    for which in np.argsort(-counts, kind="stable")[:MOST_CONFUSIONS]:
        own = slice(first[which], first[which] + np.count_nonzero(pair == which))
        query = confused[2, own][times[own].argmax()]
        found.append([int(pairs[0, which]), int(pairs[1, which]), int(counts[which]), int(rows[query])])
    return found
