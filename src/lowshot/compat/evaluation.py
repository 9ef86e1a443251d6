"""One run as the original counts them: one experiment, one number of shots, one result file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowshot.benchmark.input_checks import check_inputs
from lowshot.benchmark.metrics import concatenate, top_k_ranks
from lowshot.compat.formats.features import open_features
from lowshot.compat.formats.results import ACCURACIES, Run, is_own_result, write_run
from lowshot.compat.formats.splits import read_experiments, read_split
from lowshot.compat.names import SETUPS
from lowshot.compat.overwriting import require_own
from lowshot.compat.program import Flags
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import require_writable
from lowshot.progress import say

_QUERY_ROWS = 8192


@dataclass(frozen=True)
class RunData:
    """The features that one run sees.

    Attributes:
        train (FeatureStore): The features that base examples and shots are taken from.
        test (FeatureStore): The features of the queries.
        base (int64 array of shape (B,)): The setup's base classes, in the order of the split's list.
        novel (int64 array of shape (N,)): The setup's novel classes, in the order of the split's list.
        shots (int64 array of shape (N · n,)): The rows of ``train`` that are shots, ascending.
        num_classes (int): The number of labels; all are below it.
        folder (Path): The folder for the result.
    """

    train: FeatureStore
    test: FeatureStore
    base: np.ndarray
    novel: np.ndarray
    shots: np.ndarray
    num_classes: int
    folder: Path

    @property
    def representation(self) -> str:
        """The name of the folder that holds the train features, which names the representation."""
        return self.train.path.parent.name

    def examples(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return features (n, D) float32 and labels (n,) int64 of some rows of ``train``."""
        return self.train.rows(rows), self.train.labels[rows]

    def accuracies(self, score: Callable[[np.ndarray], np.ndarray]) -> tuple[float, ...]:
        """Measure a classifier on the queries of the setup.

        Args:
            score (callable): Maps features (n, D) to scores (n, num_classes); column c is label c, and all compete.

        Returns:
            tuple of float: The six of :data:`~lowshot.compat.formats.results.ACCURACIES`, fractions.
        """
        rows = self.test.rows_of([*self.base, *self.novel])
        blocks = [rows[start : start + _QUERY_ROWS] for start in range(0, len(rows), _QUERY_ROWS)]
        ranks = [
            top_k_ranks(score(self.test.rows(block)), self.test.labels[block], self.base, self.novel)
            for block in blocks
        ]
        found = concatenate(ranks).accuracies()
        return tuple(found[metric] for metric in ACCURACIES)


def read_run_data(given: Flags, num_classes: int | None = None) -> RunData:
    """Open and check the files of a run.

    Args:
        given (Flags): ``lowshotmeta``, ``experimentpath``, ``experimentid``, ``lowshotn``, ``trainfile``, ``testfile``,
            ``testsetup`` and ``outdir``.
        num_classes (int or None): The number of labels; None takes that of the class split.

    Raises:
        InputError: A flag or file is missing or unfit, or the files do not belong together.
    """
    folder = require_outdir(given.outdir)
    split = read_split(given.lowshotmeta)
    num_classes = split.num_classes if num_classes is None else num_classes
    train, test = (open_features(path, num_classes) for path in (given.trainfile, given.testfile))
    experiments = read_experiments(_experiment_file(given), train)
    check_inputs(train, test, split, experiments)
    setup = split.setup(SETUPS[given.testsetup])
    for store, needed in ((test, [*setup.base, *setup.novel]), (train, setup.base)):
        if len(absent := np.setdiff1d(needed, store.labels)):
            raise InputError(
                f"{store.path} has no image of class {split.describe(int(absent[0]))}, which --testsetup "
                f"{given.testsetup} needs there"
            )
    shots = np.sort(experiments.shots(1, given.lowshotn, setup.novel))
    return RunData(train, test, setup.base, setup.novel, shots, num_classes, folder)


def require_outdir(outdir: str | None) -> Path:
    """Check ``--outdir`` before the work whose result goes there.

    Raises:
        InputError: It is not given, or nothing can be written there.
    """
    if outdir is None:
        raise InputError("--outdir is missing: the folder to write to")
    require_writable(outdir, "--outdir", folder=True)
    return Path(outdir)


def require_own_result(folder: Path, run: Run) -> None:
    """Refuse to replace a result that the original wrote; see :func:`~lowshot.compat.overwriting.require_own`."""
    require_own(folder / run.file_name, "--outdir", is_own_result)


def write_result(folder: Path, run: Run) -> None:
    """Write the result of a run and say what is in it.

    Raises:
        InputError: Something else wrote a file of its name since :func:`require_own_result` was called.
    """
    require_own_result(folder, run)
    path = write_run(folder, run, as_own=True)
    shown = ", ".join(f"{metric.replace('_', ' ')} {value:.2%}" for metric, value in zip(ACCURACIES, run.accuracies))
    say(f"{path}: {shown}")


def _experiment_file(given: Flags) -> Path:
    try:
        return Path(given.experimentpath.format(given.experimentid))
    except (AttributeError, LookupError, TypeError, ValueError):
        raise InputError(
            f"--experimentpath {given.experimentpath!r} needs one place for the experiment's number, such as "
            "splitfile_{:d}.json"
        ) from None
