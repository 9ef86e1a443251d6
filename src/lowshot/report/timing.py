"""What each method costs: seconds to learn from the base classes, once, and seconds per run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from lowshot.report.html import Section
from lowshot.report.table_data import Record
from lowshot.report.text_table import Grid

MEANING = (
    "Wall-clock seconds on the machine named under provenance. Base: learning from the base classes, once for all "
    "runs. Then one run: learning the novel classes from n shots and scoring every query. Stops: what the method's "
    "generator and episodic classifier took in stops of their own, also once. Training and extraction are not in it."
)


@dataclass(frozen=True)
class TimeRow:
    """One method on one representation.

    Attributes:
        base: seconds of learning from the base classes, once.
        runs: {n: mean seconds of a run}.
        stops: seconds of the stops that fitted its generator and its classifier; None where it needs none.
    """

    representation: str
    method: str
    base: float
    runs: dict[int, float]
    stops: float | None = None


def time_rows(records: Sequence[Record], setup: str = "test") -> list[TimeRow]:
    """The rows in order of first appearance; records without times are left out.

    ``stop_seconds`` of a record is what the stops took that fitted its method's generator and classifier.
    """
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record["setup"] == setup and "seconds" in record:
            groups[record["representation"], record["method"]].append(record)
    rows = []
    for (representation, method), group in groups.items():
        seconds: dict[int, list[float]] = defaultdict(list)
        for record in group:
            seconds[record["n_shots"]].append(record["seconds"])
        runs = {n: fmean(found) for n, found in sorted(seconds.items())}
        stops = group[0].get("stop_seconds")
        rows.append(TimeRow(representation, method, max(r.get("base_seconds", 0.0) for r in group), runs, stops))
    return rows


def time_markdown(rows: Sequence[TimeRow]) -> str:
    """A Markdown table of the rows."""
    return _grid(rows).markdown()


def time_section(rows: Sequence[TimeRow]) -> Section:
    """The same table for the page."""
    return Section("Time", Markup("<p>{}</p>{}").format(MEANING, _grid(rows, caption="").html()))


def _grid(rows: Sequence[TimeRow], caption: str = MEANING) -> Grid:
    n_shots = sorted({n for row in rows for n in row.runs})
    stops = any(row.stops is not None for row in rows)
    head = [
        "Representation",
        "Low-shot phase",
        *(["stops"] if stops else []),
        "base",
        *(f"n={n}" if i == 0 else str(n) for i, n in enumerate(n_shots)),
    ]
    body = [
        [
            row.representation,
            row.method,
            *([_seconds(row.stops)] if stops else []),
            _seconds(row.base),
            *(_seconds(row.runs.get(n)) for n in n_shots),
        ]
        for row in rows
    ]
    return Grid("Seconds", head, body, caption)


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
