"""The calibration bias between base and novel scores (the papers' prior), chosen on the validation setup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowshot.benchmark.metrics import TOP, TopKRanks, informative_k, top_k_ranks
from lowshot.errors import InputError

if TYPE_CHECKING:
    from lowshot.classifiers.base import LowShotClassifier
    from lowshot.data.splits import Setup

TARGETS = {f"all_top{k}": k for k in TOP}


@dataclass(frozen=True)
class Validation:
    """Runs on the validation setup: all that a choice may be based on. Runs of any other setup are refused.

    Attributes:
        setup (Setup): The classes of the runs.
        runs (sequence of TopKRanks): The ranks of their queries.

    Raises:
        InputError: Another setup than "val", or no run.
    """

    setup: Setup
    runs: Sequence[TopKRanks]

    def __post_init__(self) -> None:
        if self.setup.name != "val":
            raise InputError(f"choices are made on setup 'val' and never on setup {self.setup.name!r}")
        if not self.runs:
            raise InputError("choices are made on validation runs, and there are none")

    @classmethod
    def of(cls, setup: Setup, fitted: Sequence[LowShotClassifier], queries: Any, labels: Any) -> Validation:
        """Runs of classifiers that were fitted on the setup's base classes and on draws of its novel classes' shots.

        Args:
            setup (Setup): The validation setup.
            fitted (sequence): One classifier a run, of exactly the setup's classes.
            queries (array of shape (N, D)): Features that no run was fitted on.
            labels (int array of shape (N,)): Their labels, all of them classes of the setup.

        Raises:
            InputError: A label is no class of the setup, or a run was fitted on other classes.
        """
        labels = np.asarray(labels)
        known = np.concatenate([setup.base, setup.novel])
        if len(unseen := np.setdiff1d(labels, known)):
            raise InputError(f"query labels {unseen[:5].tolist()} are no classes of setup {setup.name!r}")
        runs = []
        for one in fitted:
            n_base = one.n_base_classes_
            groups = zip((one.classes_[:n_base], one.classes_[n_base:]), (setup.base, setup.novel))
            if not all(np.array_equal(own, np.sort(classes)) for own, classes in groups):
                raise InputError(f"{type(one).__name__} was fitted on other classes than those of setup {setup.name!r}")
            order = np.argsort(one.classes_)
            columns = order[np.searchsorted(one.classes_, labels, sorter=order)]
            all_columns = np.arange(len(known))
            runs.append(top_k_ranks(one.scores(queries), columns, all_columns[:n_base], all_columns[n_base:]))
        return cls(setup, runs)


def default_target(setup: Setup) -> str:
    """The accuracy that the bias maximises unless another is asked for: top-5, or top-1 for up to ten classes."""
    return f"all_top{informative_k(len(setup.base) + len(setup.novel))}"


def choose_bias(validation: Validation, target: str | None = None) -> float:
    """The bias on novel scores that maximises mean accuracy over all queries of the validation runs.

    Wang et al. (2018, arXiv 1801.05401) call it a prior and choose it by cross-validation over a grid. No grid is
    needed: as the bias grows, each query changes at most once, a novel one from wrong to right and a base one from
    right to wrong. The bias where a query changes is its threshold: there the score of its class passes the decisive
    score of the other kind of class. Between two thresholds nothing changes, so sorting them gives every accuracy that
    a bias can reach. Of the biases at a threshold, where scores tie, zero alone is considered, so that the chosen one
    is never worse than none. The scores may be on any scale.

    Args:
        validation (Validation): The runs on setup "val".
        target (str, optional): ``"all_top5"`` or ``"all_top1"``; by default the second for up to ten classes, of
            which five guesses name half, and else the first.

    Returns:
        float: The middle of the best interval; of several best ones the nearest to zero; zero when that is among the
        best.

    Raises:
        InputError: An unknown target.
    """
    target = target or default_target(validation.setup)
    if target not in TARGETS:
        raise InputError(f"target of the calibration bias {target!r}: expected {' or '.join(TARGETS)}")
    k = TARGETS[target]
    gains = np.concatenate([_thresholds(one, k, novel=True) for one in validation.runs])
    losses = np.concatenate([_thresholds(one, k, novel=False) for one in validation.runs])
    thresholds = np.unique(np.concatenate([gains, losses]))
    if not len(thresholds):
        return 0.0
    # right[i]: the number of right queries for a bias between thresholds i - 1 and i, up to a constant
    passed = [np.searchsorted(np.sort(changes), thresholds, "right") for changes in (gains, losses)]
    right = np.concatenate([[0], passed[0] - passed[1]])
    best = np.flatnonzero(right == right.max())
    edge = max(1.0, float(thresholds[-1] - thresholds[0]))
    edges = np.concatenate([[thresholds[0] - 2 * edge], thresholds, [thresholds[-1] + 2 * edge]])
    low, high = edges[best], edges[best + 1]
    if ((low < 0) & (high > 0)).any():
        return 0.0
    middles = (low + high) / 2
    chosen = float(middles[np.abs(middles).argmin()])
    without, with_it = (sum(int(one.correct(k, bias).sum()) for one in validation.runs) for bias in (0.0, chosen))
    return 0.0 if without > with_it else chosen


def _thresholds(runs: TopKRanks, k: int, novel: bool) -> np.ndarray:
    """The biases at which the novel, or all other, queries change between right and wrong.

    A query of rank r among the classes of its own kind (novel or not) is right while fewer than k − r classes of the
    other kind score higher: the (k − r)-th of them decides. Queries that never change are left out.
    """
    mine = (runs.novel == novel) & (runs.rank < k)
    decisive = runs.others[mine, k - 1 - runs.rank[mine]]
    finite = np.isfinite(decisive) & np.isfinite(runs.score[mine])
    gap = (decisive - runs.score[mine])[finite]
    return gap if novel else -gap
