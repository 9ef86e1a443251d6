"""Benchmark records → one table per metric; the terminal, Markdown, CSV, HTML and the plots all read these."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from lowshot.benchmark.metrics import mean_and_half_width
from lowshot.errors import InputError, did_you_mean

Record = Mapping[str, Any]


class Metric(NamedTuple):
    """How an accuracy is called in reports, and what it counts."""

    title: str
    meaning: str


_SCOPES = {
    "novel": (
        "novel classes, joint space",
        "Test images of the novel classes; base and novel classes all compete, so a bias towards the well-known base "
        "classes costs.",
    ),
    "all": ("all classes", "Test images of base and novel classes together; forgetting the base classes costs."),
    "all_prior": (
        "all classes, prior chosen on validation",
        "As all classes, after one bias between base and novel scores that was chosen on the validation setup, never "
        "on these images.",
    ),
    "novel_only": (
        "novel classes among novel only",
        "Test images of the novel classes, with the base classes out of the competition: easier, and not comparable "
        "with the joint space.",
    ),
    "base": ("base classes, joint space", "Test images of the base classes; base and novel classes all compete."),
}

METRICS = {
    f"{scope}_top{k}": Metric(f"Top-{k}, {title}", meaning)
    for k in (5, 1)
    for scope, (title, meaning) in _SCOPES.items()
}
"""Accuracies by their names in the records, in the order of the report."""

PRIMARY = ("novel_top5", "all_top5", "all_prior_top5", "novel_only_top5")
"""The few that the terminal prints and the page opens with."""

_KEYS = ("representation", "method", "setup", "n_shots", "experiment")


@dataclass(frozen=True)
class Cell:
    """The accuracies of one entry of a table, {experiment: per cent}, and what is printed of them."""

    accuracies: Mapping[int, float]

    @cached_property
    def _summary(self) -> tuple[float, float | None]:
        return mean_and_half_width(self.accuracies.values())

    @property
    def mean(self) -> float:
        return self._summary[0]

    @property
    def half_width(self) -> float | None:
        """t(0.975, k−1)·s/√k, half the 95 % Student t interval of the mean; None for a single experiment."""
        return self._summary[1]

    @property
    def mean_text(self) -> str:
        return f"{self.mean:.1f}"

    @property
    def interval_text(self) -> str:
        """``±0.6``, or nothing where a single experiment gives no interval."""
        return "" if self.half_width is None else f"±{self.half_width:.1f}"

    def __str__(self) -> str:
        return f"{self.mean_text} {self.interval_text}".rstrip()

    def lead_over(self, other: Cell) -> Cell | None:
        """The difference experiment by experiment, which both share their shots in; None without a common one."""
        common = {e: self.accuracies[e] - other.accuracies[e] for e in self.accuracies if e in other.accuracies}
        return Cell(common) if common else None


@dataclass(frozen=True)
class Row:
    """One method on one representation; ``cells`` follow :attr:`TableData.n_shots`, None where nothing was run."""

    representation: str
    method: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class TableData:
    """One metric: a row per representation × method, a column per number of shots."""

    metric: str
    setup: str
    n_shots: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """The metric as people read it; its bare name where a plug-in measured it."""
        return METRICS[self.metric].title if self.metric in METRICS else self.metric

    @property
    def meaning(self) -> str:
        """What the metric counts, in a sentence; empty for one of a plug-in."""
        return METRICS[self.metric].meaning if self.metric in METRICS else ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The heads of the number columns: ``n=1``, ``2``, …"""
        return tuple(f"n={n}" if i == 0 else str(n) for i, n in enumerate(self.n_shots))

    @property
    def best(self) -> tuple[float, ...]:
        """The highest mean of each column."""
        columns = zip(*(row.cells for row in self.rows))
        return tuple(max(cell.mean for cell in column if cell is not None) for column in columns)

    @property
    def groups(self) -> dict[str, list[Row]]:
        """The rows by representation, in order."""
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            groups[row.representation].append(row)
        return dict(groups)

    @property
    def caption(self) -> str:
        """What a cell is: per cent, over how many experiments, with which interval."""
        counts = {len(cell.accuracies) for row in self.rows for cell in row.cells if cell is not None}
        low, high = min(counts), max(counts)
        if high == 1:
            return f"Per cent on the {self.setup} setup, one experiment (one draw of the shots), hence no interval."
        over = f"{high}" if low == high else f"{low} to {high}"
        alone = " Cells of one experiment have no interval." if low == 1 else ""
        return (
            f"Per cent on the {self.setup} setup: mean over {over} experiments (draws of the shots) "
            f"± 95 % Student t interval of the mean.{alone}"
        )


def build_tables(
    records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test"
) -> list[TableData]:
    """A table per metric, in the order asked for (default: every metric of :data:`METRICS` that was measured).

    Rows stand in the order in which representations and methods first appear in ``records``.

    Args:
        records: results of the benchmark, one per task; accuracies are fractions, None or absent where not measured.
        metrics: names of accuracies in the records.
        setup: "test" for the classes that are reported, "val" for those that hyper-parameters are chosen on.

    Raises:
        InputError: no record of this setup, no accuracy or not the one asked for, a record that lacks a key, or
            one experiment recorded twice.
    """
    records = _of_setup(list(records), setup)
    measured = {metric for record in records for metric in METRICS if _measured(record, metric)}
    if metrics is None:
        metrics = [metric for metric in METRICS if metric in measured]
        if not metrics:
            raise InputError(f"no result of setup {setup!r} holds an accuracy: expected any of {', '.join(METRICS)}")
    for metric in metrics:
        if not any(_measured(record, metric) for record in records):
            raise InputError(
                f"no record of setup {setup!r} has the metric {metric!r}. {did_you_mean(metric, measured)}"
            )
    return [_table([record for record in records if _measured(record, metric)], metric, setup) for metric in metrics]


def primary(tables: Sequence[TableData]) -> list[TableData]:
    """The tables of :data:`PRIMARY` metrics; all where there is none."""
    return [table for table in tables if table.metric in PRIMARY] or list(tables)


def _table(records: list[Record], metric: str, setup: str) -> TableData:
    accuracies: dict[tuple[str, str, int], dict[int, float]] = defaultdict(dict)
    for record in records:
        representation, method, n = record["representation"], record["method"], record["n_shots"]
        experiment = record["experiment"]
        if experiment in accuracies[representation, method, n]:
            raise InputError(
                f"results hold experiment {experiment} twice for representation {representation!r}, method {method!r}, "
                f"n={n}: one result a task is expected; report stores of different runs one by one"
            )
        accuracies[representation, method, n][experiment] = 100 * record[metric]
    cells = {key: Cell(values) for key, values in accuracies.items()}
    n_shots = tuple(sorted({n for _, _, n in cells}))
    representations = dict.fromkeys(representation for representation, _, _ in cells)
    methods = dict.fromkeys(method for _, method, _ in cells)
    present = {(representation, method) for representation, method, _ in cells}
    rows = tuple(
        Row(representation, method, tuple(cells.get((representation, method, n)) for n in n_shots))
        for representation in representations
        for method in methods
        if (representation, method) in present
    )
    return TableData(metric, setup, n_shots, rows)


def _of_setup(records: list[Record], setup: str) -> list[Record]:
    """The records of one setup, checked."""
    if not records:
        raise InputError("there are no results to report: run `lowshot evaluate` first (or `lowshot run RECIPE`)")
    for number, record in enumerate(records, start=1):
        if missing := [key for key in _KEYS if key not in record]:
            raise InputError(f"result {number} lacks {', '.join(missing)}: it was not written by `lowshot evaluate`")
    chosen = [record for record in records if record["setup"] == setup]
    if not chosen:
        others = ", ".join(sorted({repr(record["setup"]) for record in records}))
        raise InputError(
            f"no result is of setup {setup!r}, only of {others}: run `lowshot evaluate` on {setup!r} first"
        )
    return chosen


def _measured(record: Record, metric: str) -> bool:
    value = record.get(metric)
    return value is not None and math.isfinite(value)
