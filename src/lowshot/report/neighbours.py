"""Published results of other papers on the same benchmark, beside ours.

``neighbours.json`` holds them: a row per metric and method, in per cent, all with ResNet-10. They are of Wang et al.
(2018, arXiv 1801.05401), Gidaris & Komodakis (2018, arXiv 1804.09458) and Gidaris & Komodakis (2019, arXiv 1905.01102).
The numbers of both Gidaris & Komodakis rows are those of the READMEs of their released code, which say that they differ
slightly from the papers'; those of Wang et al. are as Gidaris & Komodakis cite them.
Unlike the tables of :mod:`~lowshot.report.published` they have no counterpart of ours: their features were trained
differently, so our results on ResNet-10 features are shown beside them, and no difference is computed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from lowshot.benchmark.results import Record
from lowshot.report.published import MEAN, RepresentationKind
from lowshot.report.table_data import METRIC_TITLES, PRIMARY, build_tables, mean_cell, shot_heads
from lowshot.report.tables import MISSING, NAMES, TextTable, file_stem

BACKBONE = "resnet10"
REPRESENTATION = "published (ResNet-10)"

NOTES = (
    "Neighbours: Wang et al. 2018 (arXiv 1801.05401), Gidaris & Komodakis 2018 (arXiv 1804.09458) and Gidaris & "
    "Komodakis 2019 (arXiv 1905.01102), each under the accuracy that its paper states: novel classes among novel only, "
    "and all classes. The numbers of the last two are those that the authors measured with their released code; they "
    "say that these differ slightly from the papers'.",
    "What differs: the features come from their own trainings, which by themselves move every row, and each paper has "
    "draws of shots of its own. Their further accuracy with a prior between base and novel classes is left out: their "
    "prior divides the mass of the softmax anew, while the calibration bias here is added to the scores of novel "
    "classes, so the two are not the same accuracy.",
)


@dataclass(frozen=True)
class NeighbourRow:
    """One published row.

    Attributes:
        metric (str): The accuracy, by our name of it.
        method (str): The method and its paper.
        classifier (str): The name of the method's classifier here.
        percent (mapping): The accuracy for each n in per cent, and the mean over n under :data:`MEAN`.
    """

    metric: str
    method: str
    classifier: str
    percent: Mapping[int | str, float]


@cache
def neighbour_rows() -> tuple[NeighbourRow, ...]:
    """The published rows, metric by metric."""
    content = json.loads(resources.files(__package__).joinpath("neighbours.json").read_text("utf-8"))
    rows = []
    for row in content["rows"]:
        accuracies = row.pop("percent")
        percent = {**dict(zip(content["n_shots"], accuracies, strict=True)), MEAN: sum(accuracies) / len(accuracies)}
        rows.append(NeighbourRow(percent=percent, **row))
    return tuple(rows)


def neighbour_tables(
    records: Iterable[Record],
    kinds: Mapping[str, RepresentationKind],
    metrics: Sequence[str] | None = None,
    setup: str = "test",
) -> list[TextTable]:
    """A table per accuracy that neighbours state: their rows, then ours on ResNet-10 features.

    Args:
        records (iterable of mappings): The results, with the names that tables show.
        kinds (mapping): The kind of each representation of the records.
        metrics (sequence of str or None): The accuracies to show; by default those among
            :data:`~lowshot.report.table_data.PRIMARY`.
        setup (str): The setup of our results, "test" or "val".
    """
    ours = {table.metric: table for table in build_tables(list(records), setup=setup)}
    n_shots = [column for column in neighbour_rows()[0].percent if column != MEAN]
    columns: list[int | str] = [*n_shots, MEAN]
    tables = []
    for metric in METRIC_TITLES:
        published = [row for row in neighbour_rows() if row.metric == metric]
        if not published or metric not in (PRIMARY if metrics is None else metrics):
            continue
        lines = [[REPRESENTATION, row.method, *(f"{row.percent[c]:.1f}" for c in columns)] for row in published]
        for row in ours[metric].rows if metric in ours else ():
            if (kind := kinds.get(row.representation)) is None or kind.backbone != BACKBONE:
                continue
            cells = {n: cell for n, cell in zip(ours[metric].n_shots, row.cells) if cell is not None and n in n_shots}
            mean = mean_cell(list(cells.values())) if len(cells) == len(n_shots) else None
            values = [str(cells[n]) if n in cells else MISSING for n in n_shots]
            lines.append([row.representation, row.method, *values, MISSING if mean is None else str(mean)])
        caption = "Per cent. Published rows are means without an interval. Ours: mean ± 95 % Student t interval."
        title = f"Published neighbours: {METRIC_TITLES[metric].title}"
        head, name = [*NAMES, *shot_heads(columns)], file_stem("neighbours", metric)
        tables.append(TextTable(title, head, lines, caption, name=name))
    return tables
