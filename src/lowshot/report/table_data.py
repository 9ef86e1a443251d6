"""Benchmark records → one table per metric; the terminal, Markdown, CSV, the page and the plots all read these."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from lowshot.benchmark.metrics import informative_k, mean_and_half_width, mean_over_shots
from lowshot.benchmark.results import Record
from lowshot.benchmark.summary import mean_over_trainings
from lowshot.errors import InputError, did_you_mean


class Metric(NamedTuple):
    """The title of an accuracy in reports, and a sentence on what it counts."""

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
        "all classes, calibration bias chosen on validation",
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

METRIC_TITLES = {
    f"{scope}_top{k}": Metric(f"Top-{k}, {title}", meaning)
    for k in (5, 1)
    for scope, (title, meaning) in _SCOPES.items()
}
"""Accuracies by their names in the records, in the order of the report."""

PRIMARY = ("novel_top5", "all_top5", "all_prior_top5", "novel_only_top5")
"""The few that the terminal prints and the page opens with; the same in top-1 where few classes compete."""

_KEYS = ("representation", "method", "setup", "n_shots", "experiment")


@dataclass(frozen=True)
class Cell:
    """One entry of a table.

    Attributes:
        accuracies ({experiment: float}): The accuracy of each experiment in per cent, or a difference of two in points;
            the mean over trainings, where there are several.
        trainings ({training: {experiment: float}}): The same for each training of the representation, where there are
            several.
    """

    accuracies: Mapping[int, float]
    trainings: Mapping[int, Mapping[int, float]] = field(default_factory=dict)

    @classmethod
    def of_trainings(cls, trainings: Mapping[int, Mapping[int, float]]) -> Cell | None:
        """The cell of the experiments that all trainings have; None where there is no such experiment."""
        first, *others = trainings.values()
        common = [e for e in first if all(e in other for other in others)]
        if not others or not common:
            return cls(first) if first and not others else None
        grid = {training: {e: values[e] for e in common} for training, values in trainings.items()}
        return cls({e: math.fsum(values[e] for values in grid.values()) / len(grid) for e in common}, grid)

    @cached_property
    def _summary(self) -> tuple[float, float | None]:
        if not self.trainings:
            return mean_and_half_width(self.accuracies.values())
        return mean_over_trainings(self.trainings)

    @property
    def mean(self) -> float:
        """The mean over experiments."""
        return self._summary[0]

    @property
    def half_width(self) -> float | None:
        """Half the 95 % interval of the mean; None for a single experiment.

        Student's t over experiments, or, of several trainings, the interval over trainings and experiments of
        :func:`~lowshot.benchmark.significance.over_draws_and_trainings`.
        """
        return self._summary[1]

    @property
    def mean_text(self) -> str:
        """The mean with one decimal."""
        return f"{self.mean:.1f}"

    @property
    def interval_text(self) -> str:
        """``±0.6``, or nothing where a single experiment gives no interval."""
        return "" if self.half_width is None else f"±{self.half_width:.1f}"

    def __str__(self) -> str:
        return f"{self.mean_text} {self.interval_text}".rstrip()

    def lead_over(self, other: Cell) -> Cell | None:
        """The difference within each experiment, where both have the same shots; None without a common one."""
        common = {e: own - other.accuracies[e] for e, own in self.accuracies.items() if e in other.accuracies}
        return Cell(common) if common else None


def mean_cell(cells: Sequence[Cell]) -> Cell | None:
    """The mean of cells of different n within each experiment, whose shots are nested; None without a common one."""
    if cells and cells[0].trainings and all(cell.trainings.keys() == cells[0].trainings.keys() for cell in cells):
        means = {t: mean_over_shots(cell.trainings[t] for cell in cells) for t in cells[0].trainings}
        return Cell.of_trainings(means) if all(means.values()) else None
    common = mean_over_shots(cell.accuracies for cell in cells)
    return Cell(common) if common else None


@dataclass(frozen=True)
class Row:
    """One method on one representation; ``cells`` follow :attr:`TableData.n_shots`, None where nothing was run."""

    representation: str
    method: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class TableData:
    """One metric: a row per representation × method, a column per number of shots.

    Attributes:
        metric (str): The name of the accuracy in the records.
        setup (str): "test" or "val".
        n_shots (tuple of int): The numbers of shots.
        rows (tuple of Row): The rows.
        n_classes (int or None): The number of classes in the joint space, the largest where results differ; None where
            no result says it.
        n_competing (int or None): The number of classes among which this accuracy is; None where results differ in it
            or do not say it.
    """

    metric: str
    setup: str
    n_shots: tuple[int, ...]
    rows: tuple[Row, ...]
    n_classes: int | None = None
    n_competing: int | None = None

    @property
    def chance(self) -> float | None:
        """The accuracy of a guess in per cent; None where results do not say, or differ in, how many classes compete.

        A guess takes every class that competes for equally likely.
        """
        _, _, k = self.metric.rpartition("_top")
        return None if self.n_competing is None or not k.isdigit() else 100 * min(1.0, int(k) / self.n_competing)

    @property
    def informative_k(self) -> int:
        """5, or 1 where so few classes compete that five guesses name half of them; 5 where nothing says how many."""
        among_novel = self.metric.startswith("novel_only") and self.n_competing is not None
        count = self.n_competing if among_novel else self.n_classes
        return 5 if count is None else informative_k(count)

    @property
    def title(self) -> str:
        """The metric as people read it; its bare name where a plug-in measured it."""
        return METRIC_TITLES[self.metric].title if self.metric in METRIC_TITLES else self.metric

    @property
    def meaning(self) -> str:
        """A sentence on what the metric counts; empty for one of a plug-in."""
        return METRIC_TITLES[self.metric].meaning if self.metric in METRIC_TITLES else ""

    @property
    def columns(self) -> list[str]:
        """The heads of the number columns."""
        return shot_heads(self.n_shots)

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
        """The unit of a cell, its number of experiments, its interval and the accuracy of a guess, in words."""
        return f"{self.note} {self.guess}".rstrip()

    @property
    def guess(self) -> str:
        """The accuracy of a guess in words; empty where it is not known."""
        return "" if self.chance is None else f"A guess is right in {self.chance:.3g} %."

    @property
    def note(self) -> str:
        """The caption without the accuracy of a guess."""
        counts = {len(cell.accuracies) for row in self.rows for cell in row.cells if cell is not None}
        low, high = min(counts), max(counts)
        if high == 1:
            return f"Per cent on the {self.setup} setup, one experiment (one draw of the shots), hence no interval."
        over = f"{high}" if low == high else f"{low} to {high}"
        trained = sorted({len(cell.trainings) or 1 for row in self.rows for cell in row.cells if cell is not None})
        if trained[-1] > 1:
            times = f"{trained[-1]}" if len(trained) == 1 else f"{trained[0]} to {trained[-1]}"
            return (
                f"Per cent on the {self.setup} setup: mean over {times} trainings and {over} experiments (draws of the "
                "shots) ± 95 % interval of the mean over both; of a single training, over experiments alone."
            )
        alone = " Cells of one experiment have no interval." if low == 1 else ""
        return (
            f"Per cent on the {self.setup} setup: mean over {over} experiments (draws of the shots) "
            f"± 95 % Student t interval of the mean.{alone}"
        )


def build_tables(
    records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test"
) -> list[TableData]:
    """Build a table per metric; rows have the order in which representations and methods first appear.

    Args:
        records (iterable of mappings): The results of the benchmark, one per experiment; accuracies are fractions, None
            or absent where they were not measured.
        metrics (sequence of str or None): The names of the accuracies to show, in this order; by default every metric
            of :data:`METRIC_TITLES` that was measured.
        setup (str): The setup to show: "test" for the classes that are reported, "val" for those that hyper-parameters
            are chosen on.

    Raises:
        InputError: There is no record of this setup, no accuracy or not the one asked for, a record lacks a key, or one
            experiment is recorded twice.
    """
    records = _of_setup(list(records), setup)
    measured = {metric for record in records for metric in METRIC_TITLES if _is_measured(record, metric)}
    if metrics is None:
        metrics = [metric for metric in METRIC_TITLES if metric in measured]
        if not metrics:
            raise InputError(
                f"no result of setup {setup!r} holds an accuracy: expected any of {', '.join(METRIC_TITLES)}"
            )
    found = []
    for metric in metrics:
        if not (of_metric := [record for record in records if _is_measured(record, metric)]):
            raise InputError(
                f"no record of setup {setup!r} has the metric {metric!r}. {did_you_mean(metric, measured)}"
            )
        found.append(_table(of_metric, metric, setup))
    return found


def informative(tables: Sequence[TableData]) -> list[TableData]:
    """The tables that readers see: without top-5 where up to ten classes compete and there is a table in top-1."""
    with_top1 = {table.metric for table in tables}
    return [
        table
        for table in tables
        if not table.metric.endswith("_top5")
        or table.informative_k == 5
        or table.metric.replace("_top5", "_top1") not in with_top1
    ]


def primary(tables: Sequence[TableData]) -> list[TableData]:
    """The tables of :data:`PRIMARY` metrics, in top-1 where up to ten classes compete; all where there is none."""

    def is_primary(table: TableData) -> bool:
        return table.metric in (metric.replace("_top5", f"_top{table.informative_k}") for metric in PRIMARY)

    return [table for table in tables if is_primary(table)] or list(tables)


def over_all_classes(tables: Sequence[TableData]) -> TableData:
    """The first of the :func:`primary` tables that counts base and novel classes, or the first one."""
    shown = primary(tables)
    return next((table for table in shown if table.metric.startswith("all_")), shown[0])


def best_first(table: TableData, column: int = 0) -> list[tuple[str, str]]:
    """Representation and method of all rows, the highest mean at one number of shots first, those not run there last.

    Args:
        table (TableData): The table.
        column (int): The place of the number of shots.
    """

    def mean(row: Row) -> float:
        cell = row.cells[column]
        return -1.0 if cell is None else cell.mean

    return [(row.representation, row.method) for row in sorted(table.rows, key=lambda row: -mean(row))]


def shot_heads(n_shots: Sequence[int | str]) -> list[str]:
    """The heads of a column per number of shots: ``n=1``, ``2``, …"""
    return [f"n={n}" if i == 0 else str(n) for i, n in enumerate(n_shots)]


def _table(records: Sequence[Record], metric: str, setup: str) -> TableData:
    accuracies: dict[tuple[str, str, int], dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        representation, method, n, experiment = (
            record[k] for k in ("representation", "method", "n_shots", "experiment")
        )
        of_training = accuracies[representation, method, n][record.get("training", 1)]
        if experiment in of_training:
            raise InputError(
                f"results hold experiment {experiment} twice for representation {representation!r}, method {method!r}, "
                f"n={n}: one result a task is expected; report stores of different runs one by one"
            )
        of_training[experiment] = 100 * record[metric]
    cells = {key: cell for key, values in accuracies.items() if (cell := Cell.of_trainings(values)) is not None}
    n_shots = tuple(sorted({n for _, _, n in cells}))
    methods = dict.fromkeys(method for _, method, _ in cells)
    present = {(representation, method) for representation, method, _ in cells}
    rows = tuple(
        Row(representation, method, tuple(cells.get((representation, method, n)) for n in n_shots))
        for representation in dict.fromkeys(representation for representation, _, _ in cells)
        for method in methods
        if (representation, method) in present
    )
    joint = {_n_classes(record) for record in records}
    competing = {_n_novel(record) for record in records} if metric.startswith("novel_only") else joint
    n_competing = next(iter(competing)) if len(competing) == 1 else None
    return TableData(metric, setup, n_shots, rows, max((n for n in joint if n), default=None), n_competing)


def _n_classes(record: Record) -> int | None:
    """The number of classes that competed, where the record says it."""
    data = record.get("data")
    base, novel = (data.get("base"), data.get("novel")) if isinstance(data, Mapping) else (None, None)
    return base + novel if isinstance(base, int) and isinstance(novel, int) else None


def _n_novel(record: Record) -> int | None:
    """The number of novel classes, where the record says it."""
    data = record.get("data")
    novel = data.get("novel") if isinstance(data, Mapping) else None
    return novel if isinstance(novel, int) else None


def _of_setup(records: Sequence[Record], setup: str) -> list[Record]:
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


def _is_measured(record: Record, metric: str) -> bool:
    value = record.get(metric)
    return value is not None and math.isfinite(value)
