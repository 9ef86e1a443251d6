"""The tables besides those of the accuracies: tuned grids, N-way K-shot episodes, times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from lowshot.benchmark.parameter_grid import Tuning
from lowshot.benchmark.results import Record
from lowshot.errors import counted
from lowshot.report.table_data import shot_heads
from lowshot.report.tables import MISSING, NAMES, TextTable, csv_text

BEST = "◀ best"
TIMES = (
    "Wall-clock seconds on the machine named under provenance. Base: learning from the base classes, once for all "
    "runs. Then one run: learning the novel classes from n shots and scoring every query. Stages: what the method's "
    "generator and episodic classifier took in stages of their own, also once. Training and extraction are not in it."
)
_DESIGN = ("n_way", "n_shots", "n_query", "n_tasks")


def tuning_table(tuning: Tuning, title: str) -> TextTable:
    """A row for each point of a grid: the target with its 95 % interval, then each number of shots, in per cent.

    The best point is marked, and the caption names every parameter whose range was too narrow.

    Args:
        tuning (Tuning): The grid as it was measured on the validation setup.
        title (str): The title of the table.
    """
    best = tuning.best
    rows = [
        [
            *(_value(value) for value in point.params.values()),
            _percent(point.value),
            "" if point.half_width is None else f"± {100 * point.half_width:.2f}",
            *(_percent(value) for value in point.by_n_shots.values()),
            BEST if point is best else "",
        ]
        for point in tuning.points
    ]
    experiments = counted(tuning.n_experiments, "experiment")
    caption = [f"Per cent on the validation setup, {experiments}; ± half of a 95 % interval."]
    if any(point.value is None for point in tuning.points):
        caption.append("NaN: the training diverged, or scores were no numbers; such a point never wins.")
    if best.top1 is not None:
        caption.append("Several points have the highest value; of these the best has the highest top-1 accuracy.")
    for name, edge in tuning.edges.items():
        beyond = "larger" if edge == "largest" else "smaller"
        caption.append(f"{name}={_value(best.params[name])} is the {edge} value tried: a {beyond} one may be better.")
    head = [*tuning.grid, tuning.target, "", *(f"n={n}" for n in tuning.n_shots), ""]
    return TextTable(title, head, rows, "\n".join(caption), names=len(tuning.grid))


def episode_table(records: Sequence[Record], setup: str = "test") -> TextTable | None:
    """A row per representation and method, a column per design; None where no episodes of the setup were run.

    Args:
        records (sequence of mappings): The results on episodes, one per design; accuracies are fractions.
        setup (str): The setup to show, "test" or "val".
    """
    records = [record for record in records if record["setup"] == setup]
    if not records:
        return None
    designs = sorted({tuple(record[key] for key in _DESIGN) for record in records})
    names = [f"{n_way}-way {n_shots}-shot" for n_way, n_shots, *_ in designs]
    heads = [
        name if names.count(name) == 1 else f"{name}, {n_query} queries, {n_episodes} episodes"
        for name, (*_, n_query, n_episodes) in zip(names, designs)
    ]
    cells: dict[tuple[str, str], dict[tuple[int, ...], str]] = defaultdict(dict)
    for record in records:
        interval = "" if record["half_width"] is None else f" ±{100 * record['half_width']:.2f}"
        design = tuple(record[key] for key in _DESIGN)
        cells[record["representation"], record["method"]][design] = f"{100 * record['accuracy']:.2f}{interval}"
    rows = [[*labels, *(row.get(design, MISSING) for design in designs)] for labels, row in cells.items()]
    episodes, queries = (" or ".join(map(str, sorted({design[i] for design in designs}))) for i in (3, 2))
    parts = " and ".join(sorted({record["part"] for record in records}))
    same = len({(record["data"]["test"], record["tasks"]) for record in records}) <= len(designs)
    caption = (
        f"Per cent on novel classes of the {setup} setup, images of the {parts} part: mean over "
        f"{episodes} episodes of {queries} queries a class ± 1.96 standard errors. The classes of an episode alone "
        "compete, so these numbers are far above those of the joint space and not comparable with them. "
        + ("All rows have the same episodes." if same else "NOT ALL ROWS HAVE THE SAME EPISODES.")
    )
    return TextTable("N-way K-shot episodes", [*NAMES, *heads], rows, caption, name="episodes")


def episode_csv(records: Sequence[Record], setup: str = "test") -> str:
    """A line per method and design, per cent with four decimals; arguments are those of :func:`episode_table`."""
    lines: list[list[Any]] = [["setup", "representation", "method", *_DESIGN, "part", "mean", "interval95"]]
    for record in records:
        if record["setup"] == setup:
            half_width = "" if record["half_width"] is None else f"{100 * record['half_width']:.4f}"
            entries = [record[key] for key in ("representation", "method", *_DESIGN, "part")]
            lines.append([setup, *entries, f"{100 * record['accuracy']:.4f}", half_width])
    return csv_text(lines)


def time_table(records: Sequence[Record], setup: str = "test") -> TextTable:
    """The seconds that each method takes to learn from the base classes, once, and for a run.

    Args:
        records (sequence of mappings): The results of the benchmark, one per experiment. Those without ``seconds``, as
            results converted from the original program, are left out. ``stage_seconds`` of a record is the time of the
            stages that fitted its method's generator and classifier, where it needs any.
        setup (str): The setup to show, "test" or "val".
    """
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record["setup"] == setup and "seconds" in record:
            groups[record["representation"], record["method"]].append(record)
    n_shots = sorted({record["n_shots"] for group in groups.values() for record in group})
    has_stages = any("stage_seconds" in group[0] for group in groups.values())
    rows = []
    for names, group in groups.items():
        stages = [_seconds([r["stage_seconds"] for r in group[:1] if "stage_seconds" in r])] if has_stages else []
        base = _seconds([max(record["base_seconds"] for record in group)])
        runs = [_seconds([record["seconds"] for record in group if record["n_shots"] == n]) for n in n_shots]
        rows.append([*names, *stages, base, *runs])
    head = [*NAMES, *(["stages"] if has_stages else []), "base", *shot_heads(n_shots)]
    return TextTable("Seconds", head, rows, TIMES, name="seconds")


def _seconds(values: Sequence[float]) -> str:
    """The mean of some times."""
    if not values:
        return MISSING
    mean = fmean(values)
    return f"{mean:.2f}" if mean < 10 else f"{mean:.0f}"


def _percent(fraction: float | None) -> str:
    return "NaN" if fraction is None else f"{100 * fraction:.2f}"


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
