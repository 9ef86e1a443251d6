"""``parse_results.py`` of the original: the mean over the experiments, a row per number of shots and their mean."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lowshot.benchmark import N_SHOTS
from lowshot.benchmark.metrics import mean_and_half_width
from lowshot.compat.formats.results import METRICS, Run, read_run
from lowshot.compat.program import SWITCH, Flags, not_negative, parser, positive, run, whole
from lowshot.errors import InputError
from lowshot.progress import say

N_EXPERIMENTS = 5
HEAD = ("n", *(metric.replace("_top", " top-") for metric in METRICS), "experiments")


def flags() -> argparse.ArgumentParser:
    """The original's flags and defaults."""
    found = parser("parse_results", "Print the mean accuracies over the experiments of one method, in per cent.")
    add = found.add_argument
    add("--resultsdir", default=".", help="folder with the result files")
    add("--repr", default="", help="representation: the name of the folder that held its features")
    add("--lr", default=0.1, type=positive, help="learning rate of the low-shot phase")
    add("--wd", default=0.001, type=not_negative, help="weight decay of the low-shot phase")
    add("--max_per_label", default=0, type=whole(0), help="shots and generated features of each class")
    add("--matchingnetwork", default=0, type=int, choices=SWITCH, help="1 for the results of matching networks")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _parse, arguments)


def _parse(given: Flags) -> None:
    wanted = list(_wanted(given))
    found = [run for name in wanted if (run := _read(Path(given.resultsdir) / name)) is not None]
    if not found:
        raise InputError(f"{given.resultsdir} has no result of this method: looked for {wanted[0]} and the like")
    table = {n: [run for run in found if run.n_shots == n] for n in N_SHOTS}
    rows = [_row(str(n), [run.accuracies for run in runs], f"{len(runs)}") for n, runs in table.items() if runs]
    means = [_means([run.accuracies for run in runs]) for runs in table.values() if runs]
    rows.append(_row("mean", means, "", interval=False))
    widths = [max(len(row[column]) for row in [HEAD, *rows]) for column in range(len(HEAD))]
    for row in [HEAD, *rows]:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
    if missing := len(wanted) - len(found):
        absent = next(name for name in wanted if not (Path(given.resultsdir) / name).is_file())
        say(f"{missing} of {len(wanted)} results are missing, the first is {absent}", style="yellow")


def _wanted(given: Flags) -> Iterator[str]:
    """The names of all results of the method."""
    linear = {"lr": given.lr, "weight_decay": given.wd, "max_per_label": given.max_per_label}
    for n in N_SHOTS:
        for experiment in range(1, N_EXPERIMENTS + 1):
            yield Run(given.repr, experiment, n, (), **({} if given.matchingnetwork else linear)).file_name


def _read(path: Path) -> Run | None:
    return read_run(path) if path.is_file() else None


def _row(name: str, accuracies: Sequence[Sequence[float]], count: str, interval: bool = True) -> tuple[str, ...]:
    """The cells of a row: per cent, with half the 95 % interval over experiments where there are several."""
    cells = []
    for values in zip(*accuracies):
        mean, half_width = mean_and_half_width(100 * value for value in values)
        cells.append(f"{mean:.2f} ±{half_width:.2f}" if interval and half_width is not None else f"{mean:.2f}")
    return (name, *cells, count)


def _means(accuracies: Sequence[Sequence[float]]) -> list[float]:
    return [math.fsum(values) / len(values) for values in zip(*accuracies)]


if __name__ == "__main__":
    sys.exit(main())
