"""Which methods differ: every two rows of a table compared on the same draws, and the rows that are the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from lowshot.benchmark.results import Record
from lowshot.benchmark.significance import LEVEL, Means, holm, over_draws, over_draws_and_classes
from lowshot.report.table_data import METRIC_TITLES, Row, TableData
from lowshot.report.tables import csv_text

_SCOPES = {"novel": (False, True), "base": (True, False), "all": (True, True), "all_prior": (True, True)}
"""For an accuracy in the joint space: whether its queries are of base classes, and of novel ones."""

_AT_ONCE = 256
"""The pairs whose differences by class are held at a time."""

DRAWS, CLASSES, TRAININGS = "draws", "classes", "trainings"
SOURCE_WORDS = {DRAWS: "draws of the shots", CLASSES: "classes", TRAININGS: "trainings"}


@dataclass(frozen=True)
class Difference:
    """The difference of two rows at one number of shots, within the same draws.

    Attributes:
        mean (float): The first row's mean minus the second's, in points.
        half_width (float or None): Half its 95 % interval; None from a single draw.
        p_value (float or None): The p value of a two-sided test that there is none.
        adjusted (float or None): The same, adjusted for all pairs of the table at this number of shots (Holm).
        sources (tuple of str): What interval and test hold over, of ``DRAWS``, ``CLASSES`` and ``TRAININGS``.
        n_draws (int): The number of draws that both have.
        same (str): The reason why the rows are the same; empty where they are not.
    """

    mean: float
    half_width: float | None
    p_value: float | None
    adjusted: float | None
    sources: tuple[str, ...]
    n_draws: int
    same: str = ""

    @property
    def is_real(self) -> bool:
        """True where the rows differ, at a rate of errors of 5 % in all pairs together."""
        return self.adjusted is not None and self.adjusted <= LEVEL

    def swapped(self) -> Difference:
        """The second row's mean minus the first's."""
        return Difference(
            -self.mean, self.half_width, self.p_value, self.adjusted, self.sources, self.n_draws, self.same
        )

    def __str__(self) -> str:
        interval = "" if self.half_width is None else f" ±{self.half_width:.1f}"
        return f"{in_points(self.mean)}{interval}"


def in_points(mean: float) -> str:
    """A difference with its sign and one decimal: +0.0 has the sign of no difference."""
    return f"{round(mean, 1) + 0.0:+.1f}".replace("-", "−")


@dataclass(frozen=True)
class Differences:
    """All pairs of rows of a table at one number of shots.

    Attributes:
        table (TableData): The table.
        n_shots (int): The number of shots.
        pairs (mapping): {(i, j): difference of row i and row j of the table} for i < j; none where they share no draw.
        idle (frozenset of int): The rows whose generator adds nothing to this number of shots.
    """

    table: TableData
    n_shots: int
    pairs: Mapping[tuple[int, int], Difference]
    idle: frozenset[int] = frozenset()

    def between(self, first: int, second: int) -> Difference | None:
        """The difference of two rows, by their places in the table."""
        if first < second:
            return self.pairs.get((first, second))
        found = self.pairs.get((second, first))
        return None if found is None else found.swapped()

    @cached_property
    def ranking(self) -> list[int]:
        """The places of the rows that have results here, the highest mean first, the upper row first among equals."""
        column = self.table.n_shots.index(self.n_shots)
        means = {i: cell.mean for i, row in enumerate(self.table.rows) if (cell := row.cells[column]) is not None}
        return sorted(means, key=lambda i: -means[i])

    @cached_property
    def ties(self) -> frozenset[int]:
        """The rows that are not significantly worse than the best one, it included; only the best from one draw."""
        best = self.ranking[0]
        others = {i: self.between(best, i) for i in self.ranking[1:]}
        return frozenset(
            [best, *(i for i, one in others.items() if one and (one.same or (one.p_value and not one.is_real)))]
        )

    @cached_property
    def copies(self) -> dict[int, tuple[int, str]]:
        """{row: (the row that it is the same as, the reason)}.

        Of several equal rows the upper one is the original, or the upper one without a generator.
        """
        found: dict[int, tuple[int, str]] = {}
        for (i, j), one in sorted(self.pairs.items(), key=lambda pair: (len(self.idle & {*pair[0]}) == 2, pair[0])):
            original, copy = (j, i) if i in self.idle and j not in self.idle else (i, j)
            if one.same and copy not in found and original not in found:
                found[copy] = original, one.same
        return found

    @property
    def sources(self) -> tuple[str, ...]:
        """What all its intervals and tests hold over."""
        tested = [set(one.sources) for one in self.pairs.values() if one.sources]
        return tuple(source for source in SOURCE_WORDS if tested and all(source in sources for sources in tested))


def find_differences(
    records: Iterable[Record], table: TableData, only: Collection[tuple[int, int]] | None = None
) -> dict[int, Differences]:
    """Compare all rows of a table at each number of shots.

    The difference of two rows is taken within the draws that both have. Where the records hold right answers by class,
    interval and test hold over draws and classes, else over draws alone. Trainings of one representation are the same
    for all methods on it; where both rows have several, the interval holds over trainings as well.

    Args:
        records (iterable of mappings): The records that the table was built from.
        table (TableData): The table.
        only (collection of pairs or None): The pairs (i, j) of places of rows, i < j, to compare; None for all. The
            adjusted p values are for these pairs.

    Returns:
        dict: The differences at each number of shots, in the order of the table.
    """
    records = [record for record in records if record["setup"] == table.setup]
    firsts = {record["unit"]: record for record in records if "classes" in record and "unit" in record}
    runs: dict[tuple[int, str, str], dict[tuple[int, Any], Record]] = defaultdict(dict)
    for record in records:
        if record.get(table.metric) is not None:
            key = (record["n_shots"], record["representation"], record["method"])
            runs[key][record.get("training", 1), record["experiment"]] = record
    found = {}
    for column, n in enumerate(table.n_shots):
        samples = {
            i: _Sample(row, n, table.metric, runs[n, row.representation, row.method], firsts)
            for i, row in enumerate(table.rows)
            if row.cells[column] is not None
        }
        idle = frozenset(i for i, sample in samples.items() if sample.is_idle)
        found[n] = Differences(table, n, _pairs(samples, only), idle)
    return found


class _Sample:
    """The accuracies of one row at one number of shots, in per cent, over trainings and draws, and by class."""

    def __init__(
        self, row: Row, n: int, metric: str, runs: Mapping[tuple[int, Any], Record], firsts: Mapping[Any, Record]
    ) -> None:
        self.row, self.n, self.metric, self.runs, self.firsts = row, n, metric, runs, firsts
        self.trainings = tuple(sorted({training for training, _ in runs}))
        draws = sorted({draw for _, draw in runs}, key=str)
        self.draws = tuple(e for e in draws if all((training, e) in runs for training in self.trainings))
        self._known: dict[Any, np.ndarray] = {}
        some = next(iter(runs.values()))
        self.is_idle = some.get("generator") is not None and 0 < (some.get("n_per_class") or 0) <= n

    def accuracies(self, draws: tuple[Any, ...]) -> np.ndarray:
        """(T, E) per cent."""
        if draws not in self._known:
            values = [[100 * self.runs[t, e][self.metric] for e in draws] for t in self.trainings]
            self._known[draws] = np.array(values)
        return self._known[draws]

    @cached_property
    def classes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], np.ndarray] | None:
        """Labels, groups (0 base, 1 novel) and queries of the classes that count, and a mask of the lists by class.

        None where a record does not say them.
        """
        scope, _, k = self.metric.rpartition("_top")
        described = [self.firsts.get(record.get("unit")) for record in self.runs.values()]
        if not described or any(one is None for one in described) or k not in ("1", "5"):
            return None
        layouts = {
            (*one["classes"]["base"], -1, *one["classes"]["novel"], -1, *one.get("queries_by_class", ()))
            for one in described
            if one is not None
        }
        first = described[0]
        assert first is not None
        base, novel, queries = first["classes"]["base"], first["classes"]["novel"], first.get("queries_by_class", ())
        if len(layouts) != 1 or len(queries) != len(base) + len(novel):
            return None
        is_novel = np.repeat([False, True], [len(base), len(novel)])
        wanted = _SCOPES.get(scope, (False, True))
        chosen = np.where(is_novel, wanted[1], wanted[0]) & (np.array(queries) > 0)
        width = len(novel) if scope == "novel_only" else len(queries)
        if not chosen.any() or any(len(record.get(self._list, ())) != width for record in self.runs.values()):
            return None
        labels = np.array([*base, *novel])
        mask = chosen[is_novel] if scope == "novel_only" else chosen
        return tuple(labels[chosen]), tuple(is_novel[chosen].astype(int)), tuple(np.array(queries)[chosen]), mask

    @property
    def _list(self) -> str:
        scope, _, k = self.metric.rpartition("_top")
        return f"top{k}_by_class" if scope in ("novel", "base", "all") else f"{self.metric}_by_class"

    def by_class(self, draws: tuple[Any, ...]) -> np.ndarray:
        """(E, C) per cent, means over trainings."""
        if ("by class", draws) not in self._known:
            assert self.classes is not None
            *_, queries, mask = self.classes
            right = [[np.array(self.runs[t, e][self._list])[mask] for e in draws] for t in self.trainings]
            self._known["by class", draws] = np.mean(
                100 * np.array(right, dtype=np.float64) / np.array(queries), axis=0
            )
        return self._known["by class", draws]


def _pairs(
    samples: Mapping[int, _Sample], only: Collection[tuple[int, int]] | None
) -> dict[tuple[int, int], Difference]:
    pairs = [(i, j) for i, j in (combinations(samples, 2) if only is None else only) if i in samples and j in samples]
    every = {(i, j): _shared_draws(samples[i], samples[j]) for i, j in pairs}
    shared = {key: draws for key, draws in every.items() if draws}
    same = {(i, j): _same(samples[i], samples[j], draws) for (i, j), draws in shared.items()}
    alike: dict[tuple[Any, ...], list[tuple[int, int]]] = defaultdict(list)
    for (i, j), draws in shared.items():
        if len(draws) > 1 and not same[i, j]:
            alike[(draws, *_kind(samples[i], samples[j]))].append((i, j))
    intervals: dict[tuple[int, int], tuple[float, float, float]] = {}
    sources: dict[tuple[int, int], tuple[str, ...]] = {}
    if alike:
        blocks = [
            (kind, keys[start : start + _AT_ONCE])
            for kind, keys in alike.items()
            for start in range(0, len(keys), _AT_ONCE)
        ]
        means = Means.together([_means([(samples[i], samples[j]) for i, j in keys], *kind) for kind, keys in blocks])
        p_values = means.p_values()
        columns = (means.half_width().tolist(), p_values.tolist(), holm(p_values).tolist())
        intervals = dict(zip((key for _, keys in blocks for key in keys), zip(*columns)))
        sources = {
            key: (DRAWS, *([CLASSES] if kind[1] else []), *([TRAININGS] if kind[2] else []))
            for kind, keys in blocks
            for key in keys
        }
    found = {}
    for (i, j), draws in shared.items():
        mean = float(samples[i].accuracies(draws).mean() - samples[j].accuracies(draws).mean())
        half_width, p_value, adjusted = intervals.get((i, j), (None, None, None))
        found[i, j] = Difference(mean, half_width, p_value, adjusted, sources.get((i, j), ()), len(draws), same[i, j])
    return found


def _shared_draws(first: _Sample, second: _Sample) -> tuple[Any, ...]:
    """The draws that both rows have."""
    return first.draws if first.draws == second.draws else tuple(e for e in first.draws if e in set(second.draws))


def _kind(first: _Sample, second: _Sample) -> tuple[bool, str]:
    """True where both rows have the same counts by class; and "same" or "other" trainings where both have several."""
    by_class = first.classes is not None and second.classes is not None and first.classes[:3] == second.classes[:3]
    if min(len(first.trainings), len(second.trainings)) < 2:
        return by_class, ""
    paired = first.row.representation == second.row.representation and first.trainings == second.trainings
    return by_class, "same" if paired else "other"


def _same(first: _Sample, second: _Sample, draws: tuple[Any, ...]) -> str:
    """The reason why two rows are the same; empty where they are not."""
    if first.trainings != second.trainings or first.row.representation != second.row.representation:
        return ""
    if (first.accuracies(draws) != second.accuracies(draws)).any():
        return ""
    runs = [(first.runs[t, e], second.runs[t, e]) for t in first.trainings for e in draws]
    measured = {first.metric} | {key for one, _ in runs for key in METRIC_TITLES if key in one}
    if any(one.get(key) != other.get(key) for one, other in runs for key in measured):
        return ""
    answers = [(one.get("answers"), other.get("answers")) for one, other in runs]
    if any(one != other for one, other in answers):
        return ""
    if first.is_idle or second.is_idle:
        return f"generates nothing at n = {first.n}"
    return f"the same {'answers' if answers[0][0] else 'accuracies'} in every draw"


def _means(pairs: Sequence[tuple[_Sample, _Sample]], draws: tuple[Any, ...], by_class: bool, trainings: str) -> Means:
    """The mean difference of each pair with what adds to its variance; the pairs are of one :func:`_kind`."""
    if by_class:
        classes = pairs[0][0].classes
        assert classes is not None
        _, groups, queries, _ = classes
        values = np.stack([first.by_class(draws) - second.by_class(draws) for first, second in pairs])
        means = over_draws_and_classes(values, np.array(queries), np.array(groups))
    else:
        over_trainings = [[sample.accuracies(draws).mean(axis=0) for sample in pair] for pair in pairs]
        means = over_draws(np.stack([first - second for first, second in over_trainings]))
    if not trainings:
        return means
    of_trainings = [[sample.accuracies(draws).mean(axis=1) for sample in pair] for pair in pairs]
    if trainings == "same":
        return _and_over_trainings(means, [first - second for first, second in of_trainings])
    for side in (0, 1):
        means = _and_over_trainings(means, [both[side] for both in of_trainings])
    return means


def _and_over_trainings(means: Means, values: Sequence[np.ndarray]) -> Means:
    """The same means with the variance of the means of single trainings, (T,) for each."""
    variance = [one.var(ddof=1) / len(one) for one in values]
    return means.and_over(np.array(variance), np.array([len(one) - 1 for one in values]))


def differences_csv(tables: Sequence[Mapping[int, Differences]]) -> str:
    """All pairs as CSV: a line per metric, number of shots and pair, the row with the higher mean first.

    Differences and half intervals are in points. ``p`` is the p value of one test, ``p_holm`` the one adjusted for all
    pairs of its table and number of shots. A table of R rows has R (R - 1) / 2 pairs, so digits that say nothing are
    left out.
    """
    head = ["metric", "setup", "n_shots", "representation", "method", "than_representation", "than_method"]
    head += ["difference", "interval95", "p", "p_holm", "beats", "over", "draws", "same"]
    lines: list[list[Any]] = [head]
    for found in tables:
        for n, one in found.items():
            rows = one.table.rows
            for place, i in enumerate(one.ranking):
                for j in one.ranking[place + 1 :]:
                    if (pair := one.between(i, j)) is None:
                        continue
                    names = [rows[i].representation, rows[i].method, rows[j].representation, rows[j].method]
                    numbers = [
                        "" if value is None else f"{value + 0.0:.{digits}}"
                        for value, digits in (
                            (pair.mean, "2f"),
                            (pair.half_width, "2f"),
                            (pair.p_value, "2g"),
                            (pair.adjusted, "2g"),
                        )
                    ]
                    about = [int(pair.is_real and pair.mean > 0), " and ".join(pair.sources), pair.n_draws, pair.same]
                    lines.append([one.table.metric, one.table.setup, n, *names, *numbers, *about])
    return csv_text(lines)
