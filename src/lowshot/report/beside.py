"""Our results beside the published tables: published value, ours with its interval, difference."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lowshot.report.html import Section
from lowshot.report.published import MEAN, Nature, PublishedRow, publication
from lowshot.report.table_data import METRICS, PRIMARY, Cell, Record, Row, TableData, build_tables
from lowshot.report.text_table import Grid


@dataclass(frozen=True)
class Beside:
    """A published row with one of ours like it; ``ours`` is None where nothing of ours is like it.

    Attributes:
        published: their row.
        ours: representation and method, as our tables name them.
        cells: {n: ours}, with the mean over n under :data:`MEAN` where every published n was run.
    """

    published: PublishedRow
    ours: tuple[str, str] | None
    cells: Mapping[int | str, Cell]

    def difference(self, column: int | str) -> float | None:
        """Ours minus theirs, in points."""
        return self.cells[column].mean - self.published.percent[column] if column in self.cells else None


def beside_published(
    records: Iterable[Record],
    natures: Mapping[str, Nature],
    metrics: Sequence[str] | None = None,
    setup: str = "test",
) -> dict[str, list[Beside]]:
    """For each metric every published row, with each of our methods that says it is the same.

    Args:
        records: results with the names that tables show.
        natures: what each representation of the records is.
        metrics: of the published ones; those among :data:`~lowshot.report.table_data.PRIMARY` by default.
        setup: "test" or "val".
    """
    records = list(records)
    theirs = publication()
    published = list(dict.fromkeys(row.metric for row in theirs.rows))
    wanted = [m for m in METRICS if m in published and m in (PRIMARY if metrics is None else metrics)]
    tables = {table.metric: table for table in build_tables(records, setup=setup)}
    kinds = {(r["representation"], r["method"]): (r.get("classifier"), r.get("generator")) for r in records}
    found: dict[str, list[Beside]] = {}
    for metric in wanted:
        ours = tables[metric].rows if metric in tables else ()
        found[metric] = []
        for row in (row for row in theirs.rows if row.metric == metric):
            alike = [
                mine
                for mine in ours
                if natures.get(mine.representation) == row.nature
                and kinds[mine.representation, mine.method] == (row.classifier, row.generator)
            ]
            found[metric] += [
                Beside(row, (mine.representation, mine.method), _cells(mine, tables[metric], theirs.n_shots))
                for mine in alike
            ] or [Beside(row, None, {})]
    return found


def _cells(row: Row, table: TableData, n_shots: Sequence[int]) -> dict[int | str, Cell]:
    cells: dict[int | str, Cell] = {
        n: cell for n, cell in zip(table.n_shots, row.cells, strict=True) if cell is not None and n in n_shots
    }
    if len(cells) == len(n_shots):
        common = set.intersection(*(set(cell.accuracies) for cell in cells.values()))
        if common:  # the mean of each experiment first: its numbers of shots are nested, not independent
            means = {e: sum(cells[n].accuracies[e] for n in n_shots) / len(n_shots) for e in sorted(common, key=str)}
            cells[MEAN] = Cell(means)
    return cells


def is_same_data(records: Iterable[Record], setup: str = "test") -> bool | None:
    """Whether our class counts are the published ones; None where records do not say."""
    sizes = {
        tuple((r.get("data") or {}).get(key) for key in publication().classes) for r in records if r["setup"] == setup
    }
    if any(None in size for size in sizes):
        return None
    return sizes == {tuple(publication().classes.values())}


def paper_notes(records: Sequence[Record], found: Mapping[str, Sequence[Beside]], setup: str = "test") -> list[str]:
    """What a reader of the comparison must know before any number."""
    theirs = publication()
    notes = [f"Published: {theirs.source}. Measured on {theirs.data}."]
    same = is_same_data(records, setup)
    if same is None:
        notes.append(
            "Ours does not say what data it was measured on (records of an older version): a difference may be one of "
            "the data."
        )
    elif same:
        notes.append("Ours has as many base classes, novel classes and labels as the published benchmark.")
    else:
        sizes = sorted({(r["data"]["base"], r["data"]["novel"]) for r in records if r["setup"] == setup})
        ours = ", ".join(f"{base} base and {novel} novel classes" for base, novel in sizes)
        notes.append(
            f"OTHER DATA: ours is measured on {ours}, not on ImageNet's. The differences below are between data sets; "
            "what can be compared is which method leads, and by how much."
        )
    if not any(beside.ours for rows in found.values() for beside in rows):
        notes.append(
            "Nothing of ours says that it is one of the published rows: those are of the backbones resnet10 and "
            "resnet50, the losses none, sgm, batch_sgm and feature_l2, the classifier logistic alone or with the "
            "generator analogies, and the classifier matching_network."
        )
    return notes


def paper_grids(found: Mapping[str, Sequence[Beside]]) -> list[Grid]:
    """A table per metric: three lines a published row that ours has, one line any other."""
    columns: list[int | str] = [*publication().n_shots, MEAN]
    head = ["Representation", "Low-shot phase", "", *(f"n={c}" if i == 0 else str(c) for i, c in enumerate(columns))]
    grids = []
    for metric, rows in found.items():
        lines: list[list[str]] = []
        seen: set[int] = set()
        for beside in rows:
            names = [beside.published.representation, beside.published.method]
            if id(beside.published) not in seen:
                seen.add(id(beside.published))
                lines.append([*names, "published", *(f"{beside.published.percent[c]:.2f}" for c in columns)])
            if beside.ours is not None:
                differences = [beside.difference(c) for c in columns]
                cells = [str(beside.cells[c]) if c in beside.cells else "–" for c in columns]
                lines.append([*names, f"ours: {' · '.join(beside.ours)}", *cells])
                lines.append([*names, "difference", *("–" if d is None else f"{d:+.1f}" for d in differences)])
        caption = (
            f"Per cent. Published: mean of {publication().experiments} experiments, no interval given; its mean over n "
            "is computed from its row. Ours: mean ± 95 % Student t interval. Difference: ours minus published, points."
        )
        grids.append(Grid(METRICS[metric].title, head, lines, caption, names=3))
    return grids


def paper_section(notes: Sequence[str], grids: Sequence[Grid]) -> Section:
    """The comparison for the page."""
    text = Markup("").join(Markup("<p>{}</p>").format(note) for note in notes)
    tables = Markup("").join(Markup("<h3>{}</h3>{}").format(grid.title, grid.html()) for grid in grids)
    return Section("Beside the published tables", text + tables)


def paper_csv(found: Mapping[str, Sequence[Beside]]) -> str:
    """A line per published entry and method of ours like it, per cent; empty where ours has none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    theirs = ["metric", "backbone", "loss", "classifier", "generator", "n_shots", "published"]
    writer.writerow([*theirs, "representation", "method", "mean", "interval95", "experiments", "difference"])
    for beside in (beside for rows in found.values() for beside in rows):
        row = beside.published
        for column, value in row.percent.items():
            entry = [row.metric, row.nature.backbone, row.nature.loss, row.classifier, row.generator or ""]
            entry += [str(column), f"{value:.3f}", *(beside.ours or ("", ""))]
            cell, difference = beside.cells.get(column), beside.difference(column)
            if cell is None or difference is None:
                writer.writerow([*entry, "", "", "", ""])
            else:
                half_width = "" if cell.half_width is None else f"{cell.half_width:.4f}"
                numbers = [f"{cell.mean:.4f}", half_width, len(cell.accuracies), f"{difference:.4f}"]
                writer.writerow([*entry, *numbers])
    return file.getvalue()
