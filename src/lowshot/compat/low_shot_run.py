"""One run of the benchmark as the original counts them: one experiment, one number of shots, one result file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lowshot.benchmark import run_benchmark
from lowshot.classifiers import LowShotClassifier
from lowshot.compat.formats.features import open_features
from lowshot.compat.formats.results import METRICS, Run, write_run
from lowshot.compat.formats.splits import read_experiments, read_split
from lowshot.compat.program import Flags
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import require_writable
from lowshot.progress import say

SETUPS = ("val", "test")
"""``--testsetup`` 0 and 1."""


def run_one(
    given: Flags, classifier: LowShotClassifier, named: dict[str, Any], num_classes: int, **method: Any
) -> None:
    """Run and write the result.

    Args:
        given: flags ``lowshotmeta``, ``experimentpath``, ``experimentid``, ``lowshotn``, ``trainfile``, ``testfile``,
            ``testsetup`` and ``outdir``.
        classifier: not yet fitted.
        named: what the result file says of the method, fields of :class:`Run`.
        num_classes: labels of the features are below it.
        method: ``generator`` and ``n_per_class`` of the benchmark.

    Raises:
        InputError: the files do not belong together. Nothing is written then.
    """
    require_writable(given.outdir, "--outdir", folder=True)
    split = read_split(given.lowshotmeta)
    train, test = (open_features(path, num_classes) for path in (given.trainfile, given.testfile))
    experiments = read_experiments(_experiment_file(given), train)
    (record,) = run_benchmark(
        train,
        test,
        split,
        experiments,
        classifier,
        n_shots=(given.lowshotn,),
        setup=SETUPS[given.testsetup],
        prior=False,
        seed=given.experimentid,
        **method,
    )
    run = Run(representation_of(train), given.experimentid, given.lowshotn, _accuracies(record), **named)
    path = write_run(given.outdir, run)
    shown = ", ".join(f"{metric.replace('_', ' ')} {value:.2%}" for metric, value in zip(METRICS, run.accuracies))
    say(f"{path}: {shown}")


def representation_of(train: FeatureStore) -> str:
    """The name of the folder that holds the train features, which names the representation."""
    return train.path.parent.name


def _experiment_file(given: Flags) -> Path:
    try:
        return Path(given.experimentpath.format(given.experimentid))
    except (AttributeError, LookupError, TypeError, ValueError):
        raise InputError(
            f"--experimentpath {given.experimentpath!r} needs one place for the experiment's number, such as "
            "splitfile_{:d}.json"
        ) from None


def _accuracies(record: dict[str, Any]) -> tuple[float, ...]:
    return tuple(record[metric] for metric in METRICS)
