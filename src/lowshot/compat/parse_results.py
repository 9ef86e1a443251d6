"""``parse_results.py`` of the original: the mean over the experiments, a row per number of shots and their mean."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from lowshot.compat.formats.results import ACCURACIES, Run, read_run
from lowshot.compat.program import SWITCH, Flags, end, integer, not_negative, parser, positive, run
from lowshot.errors import InputError
from lowshot.files import is_file

N_SHOTS = (1, 2, 5, 10, 20)
N_EXPERIMENTS = 5
T_QUANTILES = {1: 12.706204736174694, 2: 4.302652729749462, 3: 3.1824463052837078, 4: 2.7764451051977934}
"""The 97.5 % points of Student's t by degrees of freedom. To import scipy, which knows them all, takes too long."""
HEAD = ("n", *(metric.replace("_top", " top-") for metric in ACCURACIES), "experiments")


def flags() -> argparse.ArgumentParser:
    """Make a parser with the original's flags and defaults."""
    found = parser("parse_results", "Print the mean accuracies over the experiments of one method, in per cent.")
    add = found.add_argument
    add("--resultsdir", help="folder with the result files")
    add("--repr", help="representation: the name of the folder that held its features")
    add("--lr", default=0.1, type=positive, help="learning rate of the low-shot phase")
    add("--wd", default=0.001, type=not_negative, help="weight decay of the low-shot phase")
    add("--max_per_label", default=0, type=integer(0), help="shots and generated features of each class")
    add("--matchingnetwork", default=0, type=int, choices=SWITCH, help="1 for the results of matching networks")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run(flags(), _parse, arguments)


def _parse(given: Flags) -> None:
    for flag in ("resultsdir", "repr"):
        if getattr(given, flag) is None:
            raise InputError(f"--{flag} is missing: the results to read are named by it")
    wanted = list(_wanted(given))
    found = [run for name in wanted if (run := _read(Path(given.resultsdir) / name)) is not None]
    if not found:
        raise InputError(f"{given.resultsdir} has no result of this method: looked for {wanted[0]} and the like")
    table = {n: [run for run in found if run.n_shots == n] for n in N_SHOTS}
    rows = [_row(str(n), [run.accuracies for run in runs], f"{len(runs)}") for n, runs in table.items() if runs]
    means = [[_mean(values) for values in zip(*(run.accuracies for run in runs))] for runs in table.values() if runs]
    rows.append(_row("mean", means, "", interval=False))
    widths = [max(len(row[column]) for row in [HEAD, *rows]) for column in range(len(HEAD))]
    for row in [HEAD, *rows]:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
    if missing := len(wanted) - len(found):
        absent = next(name for name in wanted if not is_file(Path(given.resultsdir) / name))
        from lowshot.progress import say

        say(f"{missing} of {len(wanted)} results are missing, the first is {absent}", style="yellow")


def _wanted(given: Flags) -> Iterator[str]:
    """The names of all results of the method."""
    linear = {"lr": given.lr, "weight_decay": given.wd, "max_per_label": given.max_per_label}
    for n in N_SHOTS:
        for experiment in range(1, N_EXPERIMENTS + 1):
            yield Run(given.repr, experiment, n, (), **({} if given.matchingnetwork else linear)).file_name


def _read(path: Path) -> Run | None:
    return read_run(path) if is_file(path) else None


def _row(name: str, accuracies: Sequence[Sequence[float]], count: str, interval: bool = True) -> tuple[str, ...]:
    """The cells of a row: per cent, with half the 95 % interval over experiments where there are several."""
    cells = []
    for values in zip(*accuracies):
        mean = _mean(values)
        cell = f"{100 * mean:.2f}"
        if interval and len(values) > 1:
            variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
            cell += f" ±{100 * T_QUANTILES[len(values) - 1] * math.sqrt(variance / len(values)):.2f}"
        cells.append(cell)
    return (name, *cells, count)


def _mean(values: Sequence[float]) -> float:
    """The mean as the original rounds it: fractions are added in turn, and become per cent only when printed."""
    return sum(values) / len(values)


if __name__ == "__main__":
    end(main())
