"""Where methods fail: right answers by class, confused pairs, and queries of one kind answered with the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowshot.benchmark.results import Record
from lowshot.report.tables import csv_text

Counts = tuple[int, int, int]
"""The queries of a kind that are answered with their class, another one of their kind, and one of the other kind."""


@dataclass(frozen=True)
class Confusion:
    """Queries of one class that are answered with another.

    Attributes:
        true (str): The name of their class.
        answered (str): The name of the answered class.
        labels (pair of int): Both labels.
        times (int): The number of queries in all runs.
        share (float): The same as a share of the class's queries in these runs.
        row (int): The row, in the test part, of the query that is confused most often.
    """

    true: str
    answered: str
    labels: tuple[int, int]
    times: int
    share: float
    row: int


@dataclass(frozen=True)
class ClassResults:
    """The results of one method with one number of shots, by class.

    Attributes:
        labels (tuple of int): The labels of the base classes and then of the novel ones.
        names (tuple of str): Their names.
        n_base (int): The number of base classes.
        queries (int array of shape (C,)): The number of queries of each class.
        right (dict): {k: (C,) float, the mean number of right answers over runs} for top-1 and top-5.
        n_runs (int): The number of runs, over draws and trainings.
        confusions (tuple of Confusion): The pairs that are confused most often.
        answered_as (dict): {"base" or "novel": Counts over all runs}.
        answered_as_prior (dict): The same with the calibration bias; empty without one.
    """

    representation: str
    method: str
    n_shots: int
    labels: tuple[int, ...]
    names: tuple[str, ...]
    n_base: int
    queries: np.ndarray
    right: Mapping[int, np.ndarray]
    n_runs: int
    confusions: tuple[Confusion, ...]
    answered_as: Mapping[str, Counts]
    answered_as_prior: Mapping[str, Counts]

    def accuracy(self, k: int) -> np.ndarray:
        """(C,) float: the top-k accuracy of each class in per cent, NaN for one without queries."""
        with np.errstate(invalid="ignore"):
            found: np.ndarray = 100 * self.right[k] / self.queries
        return found


def class_results(records: Iterable[Record], setup: str) -> list[ClassResults]:
    """The results by class of each representation, method and number of shots, in the order of the records.

    Records without counts by class, as from the original program or from an earlier lowshot, are left out.

    Args:
        records (iterable of mappings): The results of the benchmark, one per experiment.
        setup (str): The setup to show, "test" or "val".
    """
    records = [record for record in records if record["setup"] == setup]
    firsts = {record["unit"]: record for record in records if "classes" in record and "unit" in record}
    groups: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
    for record in records:
        if record.get("unit") in firsts and "top1_by_class" in record:
            groups[record["representation"], record["method"], record["n_shots"]].append(record)
    found = []
    for key, runs in groups.items():
        if (one := _results(*key, runs, [firsts[unit] for unit in dict.fromkeys(run["unit"] for run in runs)])) is None:
            continue
        found.append(one)
    return found


def _results(
    representation: str, method: str, n: int, runs: Sequence[Record], firsts: Sequence[Record]
) -> ClassResults | None:
    """None where the runs are of different classes, or a list is not as long as that of the classes."""
    base, novel = firsts[0]["classes"]["base"], firsts[0]["classes"]["novel"]
    labels, queries = (*base, *novel), np.array(firsts[0].get("queries_by_class", ()))
    lists = [run.get(f"top{k}_by_class", ()) for run in runs for k in (1, 5)]
    if len({(str(first["classes"]), str(first.get("queries_by_class"))) for first in firsts}) > 1:
        return None
    if any(len(one) != len(labels) for one in (queries, *lists)):
        return None
    given = firsts[0].get("class_names", ())
    names = tuple(given) if len(given) == len(labels) else tuple(f"class {label}" for label in labels)
    return ClassResults(
        representation,
        method,
        n,
        labels,
        names,
        len(base),
        queries,
        {k: np.mean([run[f"top{k}_by_class"] for run in runs], axis=0) for k in (1, 5)},
        len(runs),
        _confusions(firsts, dict(zip(labels, names)), dict(zip(labels, (queries * len(runs)).tolist()))),
        _answered(runs, "answered_as"),
        _answered(runs, "answered_as_prior"),
    )


def _confusions(firsts: Sequence[Record], names: Mapping[int, str], asked: Mapping[int, int]) -> tuple[Confusion, ...]:
    """The pairs of several tasks together; a pair that one task leaves out, as a rare one, counts there as zero."""
    times: dict[tuple[int, int], int] = defaultdict(int)
    rows: dict[tuple[int, int], int] = {}
    for first in firsts:
        for true, answered, count, row in first.get("confusions", ()):
            times[true, answered] += count
            rows.setdefault((true, answered), row)
    ordered = sorted(times, key=lambda pair: (-times[pair], pair))
    return tuple(
        Confusion(
            names.get(true, f"class {true}"),
            names.get(answered, f"class {answered}"),
            (true, answered),
            times[true, answered],
            times[true, answered] / max(1, asked.get(true, 0)),
            rows[true, answered],
        )
        for true, answered in ordered
    )


def _answered(runs: Sequence[Record], key: str) -> dict[str, Counts]:
    counts = [run[key] for run in runs if key in run]
    if len(counts) < len(runs):
        return {}
    return {
        kind: tuple(int(n) for n in np.sum([one[kind] for one in counts], axis=0))  # type: ignore[misc]
        for kind in ("base", "novel")
    }


def classes_csv(results: Sequence[ClassResults]) -> str:
    """A line per method, number of shots and class: queries, and top-1 and top-5 accuracy in the joint space."""
    lines: list[list[Any]] = [
        ["representation", "method", "n_shots", "class", "label", "kind", "queries", "runs", "top1", "top5"]
    ]
    for one in results:
        accuracies = [one.accuracy(k) for k in (1, 5)]
        for place, (label, name) in enumerate(zip(one.labels, one.names)):
            kind = "base" if place < one.n_base else "novel"
            numbers = ["" if np.isnan(a[place]) else f"{a[place]:.4f}" for a in accuracies]
            about = [one.representation, one.method, one.n_shots, name, label, kind, int(one.queries[place])]
            lines.append([*about, one.n_runs, *numbers])
    return csv_text(lines)


def confusions_csv(results: Sequence[ClassResults]) -> str:
    """A line per method, number of shots and confused pair, the most frequent pairs of each."""
    head = ["representation", "method", "n_shots", "true", "answered", "times", "share_of_queries", "example_row"]
    lines = [
        [
            one.representation,
            one.method,
            one.n_shots,
            pair.true,
            pair.answered,
            pair.times,
            f"{pair.share:.4f}",
            pair.row,
        ]
        for one in results
        for pair in one.confusions
    ]
    return csv_text([head, *lines])


def kinds_csv(results: Sequence[ClassResults]) -> str:
    """A line per method, number of shots and kind of query: how many are answered with which kind, in all runs."""
    head = ["representation", "method", "n_shots", "calibration_bias", "queries_of", "right", "other_of_kind"]
    lines: list[list[Any]] = [[*head, "of_other_kind"]]
    for one in results:
        for bias, counts in (("no", one.answered_as), ("yes", one.answered_as_prior)):
            for kind, numbers in counts.items():
                lines.append([one.representation, one.method, one.n_shots, bias, kind, *numbers])
    return csv_text(lines)
