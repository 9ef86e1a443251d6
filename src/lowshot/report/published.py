"""The published tables of Hariharan & Girshick, and our results compared with them.

``published.json`` holds the numbers of the README that came with their PyTorch release: a row per metric,
representation and low-shot phase, in per cent. That README prints no mean over n; the means here are computed from its
rows. It agrees with itself: every ``all`` is (311 novel + 196 base) / 507 of its row's other two tables, to the last
digit printed, which the tests check.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from lowshot.benchmark.results import Record
from lowshot.report.table_data import METRIC_TITLES, PRIMARY, Cell, build_tables, mean_cell, shot_heads
from lowshot.report.tables import MISSING, NAMES, TextTable, csv_numbers, csv_text, file_stem

MEAN = "mean"
_LOSSES = {"none": "Baseline", "sgm": "SGM", "batch_sgm": "Batch SGM", "feature_l2": "L2"}
_BACKBONES = {"resnet10": "ResNet-10", "resnet50": "ResNet-50"}


@dataclass(frozen=True)
class RepresentationKind:
    """The backbone and the auxiliary loss that make a representation, by the names of the registries.

    Attributes:
        backbone (str or None): The backbone; None where it is not known.
        loss (str or None): The auxiliary loss, "none" for the baseline; None where it is not known.
    """

    backbone: str | None
    loss: str | None

    @classmethod
    def from_name(cls, name: str) -> RepresentationKind:
        """The kind that a name spells out, such as the original's ``ResNet50_sgm``; nothing is guessed."""
        letters = "".join(letter for letter in name.lower() if letter.isalnum())
        backbone = next((known for known in _BACKBONES if known in letters and f"{known}1" not in letters), None)
        rest = letters.replace(backbone, "") if backbone else letters
        losses = {"batchsgm": "batch_sgm", "sgm": "sgm", "featurel2": "feature_l2", "l2": "feature_l2"}
        is_baseline = letters and rest in ("", "baseline")
        return cls(backbone, next((losses[word] for word in losses if word in rest), "none" if is_baseline else None))

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any], representation: str) -> RepresentationKind:
        """The kind that a recipe trains; that of the representation's name where its features are made elsewhere.

        Args:
            recipe (mapping): The plain content of a recipe; it may lack any section.
            representation (str): The key of the representation.
        """
        section = (recipe.get("representations") or {}).get(representation)
        if section is None or section.get("features") or section.get("checkpoint"):
            return cls.from_name(representation)
        train = {**(recipe.get("train") or {}), **(section.get("train") or {})}
        return cls(train.get("backbone"), train.get("loss") or "none")


@dataclass(frozen=True)
class PublishedRow:
    """One published row: ``percent`` {n: accuracy}, with the mean over n under :data:`MEAN`."""

    metric: str
    kind: RepresentationKind
    classifier: str
    generator: str | None
    percent: Mapping[int | str, float]

    @property
    def representation(self) -> str:
        """The representation as their tables name it."""
        return f"{_LOSSES[str(self.kind.loss)]} ({_BACKBONES[str(self.kind.backbone)]})"

    @property
    def method(self) -> str:
        """The low-shot phase as their tables name it."""
        if self.classifier == "matching_network":
            return "matching networks"
        return "linear" if self.generator is None else "generation"


@dataclass(frozen=True)
class Publication:
    """All published rows, and the benchmark that they were measured on.

    Attributes:
        source (str): The paper and the page.
        data (str): The images and classes, in words.
        classes (mapping): The number of "base" and "novel" classes of the test setup, and of all labels ("classes").
        experiments (int): The number of draws of the shots that each number is the mean of.
        n_shots (tuple of int): The columns.
        rows (tuple of PublishedRow): The rows of all tables.
    """

    source: str
    data: str
    classes: Mapping[str, int]
    experiments: int
    n_shots: tuple[int, ...]
    rows: tuple[PublishedRow, ...]


@cache
def publication() -> Publication:
    """The published tables."""
    content = json.loads(resources.files(__package__).joinpath("published.json").read_text("utf-8"))
    n_shots, rows = tuple(content.pop("n_shots")), []
    for row in content.pop("rows"):
        kind = RepresentationKind(row.pop("backbone"), row.pop("loss"))
        accuracies = row.pop("percent")
        percent = {**dict(zip(n_shots, accuracies, strict=True)), MEAN: float(np.mean(accuracies))}
        rows.append(PublishedRow(kind=kind, percent=percent, **row))
    return Publication(n_shots=n_shots, rows=tuple(rows), **content)


@dataclass(frozen=True)
class ComparedRow:
    """A published row with one of ours of the same kind.

    Attributes:
        published (PublishedRow): Their row.
        ours (tuple of str or None): The representation and the method as our tables name them; None where no row of
            ours is of this kind.
        cells (mapping): Our cell for each published n, with that of the mean over n under :data:`MEAN` where every
            published n was run.
    """

    published: PublishedRow
    ours: tuple[str, str] | None
    cells: Mapping[int | str, Cell]

    def difference(self, column: int | str) -> float | None:
        """Ours minus theirs, in points."""
        return self.cells[column].mean - self.published.percent[column] if column in self.cells else None


def compare_with_published(
    records: Iterable[Record],
    kinds: Mapping[str, RepresentationKind],
    metrics: Sequence[str] | None = None,
    setup: str = "test",
) -> dict[str, list[ComparedRow]]:
    """For each metric every published row, with each of our methods that says it is the same.

    Args:
        records (iterable of mappings): The results, with the names that tables show.
        kinds (mapping): The kind of each representation of the records.
        metrics (sequence of str or None): The accuracies to show, of which the published ones count; by default those
            among :data:`~lowshot.report.table_data.PRIMARY`.
        setup (str): The setup of our results, "test" or "val".
    """
    records = list(records)
    tables = {table.metric: table for table in build_tables(records, setup=setup)}
    parts = {(r["representation"], r["method"]): (r.get("classifier"), r.get("generator")) for r in records}
    compared: dict[str, list[ComparedRow]] = {}
    for metric in METRIC_TITLES:
        published = [row for row in publication().rows if row.metric == metric]
        if not published or metric not in (PRIMARY if metrics is None else metrics):
            continue
        ours: dict[tuple[str, str], dict[int | str, Cell]] = {}
        if metric in tables:
            ours = {(r.representation, r.method): _cells(tables[metric].n_shots, r.cells) for r in tables[metric].rows}
        compared[metric] = []
        for row in published:
            same = [
                ComparedRow(row, names, cells)
                for names, cells in ours.items()
                if kinds.get(names[0]) == row.kind and parts[names] == (row.classifier, row.generator)
            ]
            compared[metric] += same or [ComparedRow(row, None, {})]
    return compared


def _cells(n_shots: Sequence[int], ours: Sequence[Cell | None]) -> dict[int | str, Cell]:
    """Our cells at the published n, with that of the mean over n where every one of them was run."""
    cells: dict[int | str, Cell] = {
        n: cell for n, cell in zip(n_shots, ours) if cell is not None and n in publication().n_shots
    }
    if len(cells) == len(publication().n_shots) and (mean := mean_cell(list(cells.values()))) is not None:
        cells[MEAN] = mean
    return cells


def is_same_data(records: Iterable[Record], setup: str = "test") -> bool | None:
    """True where our class counts are the published ones; None where a result does not say what it was measured on."""
    published = publication().classes
    sizes = {tuple(r["data"][k] for k in published) if "data" in r else None for r in records if r["setup"] == setup}
    return None if None in sizes else sizes == {tuple(published.values())}


def published_notes(
    records: Sequence[Record], compared: Mapping[str, Sequence[ComparedRow]], setup: str = "test"
) -> list[str]:
    """The sentences that a reader of the comparison must know before any number.

    Args:
        records (sequence of mappings): The results that were compared.
        compared (mapping): The rows of :func:`compare_with_published`.
        setup (str): The setup of our results, "test" or "val".
    """
    notes = [f"Published: {publication().source}. Measured on {publication().data}."]
    same = is_same_data(records, setup)
    if same is None:
        notes.append(
            "Ours does not say what data it was measured on (results converted from the original program): a "
            "difference may be one of the data."
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
    if not any(row.ours for rows in compared.values() for row in rows):
        notes.append(
            "Nothing of ours says that it is one of the published rows: those are of the backbones resnet10 and "
            "resnet50, the losses none, sgm, batch_sgm and feature_l2, the classifier logistic alone or with the "
            "generator analogies, and the classifier matching_network."
        )
    return notes


def published_tables(compared: Mapping[str, Sequence[ComparedRow]]) -> list[TextTable]:
    """A table per metric: three lines for each row of ours below the published one, one line for any other."""
    columns: list[int | str] = [*publication().n_shots, MEAN]
    caption = (
        f"Per cent. Published: mean of {publication().experiments} experiments, no interval given; its mean over n "
        "is computed from its row. Ours: mean ± 95 % Student t interval. Difference: ours minus published, points."
    )
    tables = []
    for metric, rows in compared.items():
        lines: list[list[str]] = []
        above: PublishedRow | None = None
        for row in rows:
            names = [row.published.representation, row.published.method]
            if row.published is not above:
                lines.append([*names, "published", *(f"{row.published.percent[c]:.2f}" for c in columns)])
                above = row.published
            if row.ours is not None:
                cells = [str(row.cells[c]) if c in row.cells else MISSING for c in columns]
                differences = [MISSING if (d := row.difference(c)) is None else f"{d:+.1f}" for c in columns]
                lines.append([*names, f"ours: {' · '.join(row.ours)}", *cells])
                lines.append([*names, "difference", *differences])
        head, name = [*NAMES, "", *shot_heads(columns)], file_stem("published", metric)
        tables.append(TextTable(METRIC_TITLES[metric].title, head, lines, caption, names=3, name=name))
    return tables


def published_csv(compared: Mapping[str, Sequence[ComparedRow]]) -> str:
    """A line per published entry and method of ours like it, per cent; empty where there is none of ours."""
    theirs = ("metric", "backbone", "loss", "classifier", "generator", "n_shots", "published")
    lines: list[list[Any]] = [
        [*theirs, "representation", "method", "mean", "interval95", "experiments", "difference"],
    ]
    for row in (row for rows in compared.values() for row in rows):
        published = row.published
        parts = [published.kind.backbone, published.kind.loss, published.classifier, published.generator or ""]
        for column, value in published.percent.items():
            cell, difference = row.cells.get(column), row.difference(column)
            ours = ["", "", ""] if cell is None else csv_numbers(cell)
            entry = [published.metric, *parts, str(column), f"{value:.3f}", *(row.ours or ("", "")), *ours]
            lines.append([*entry, "" if difference is None else f"{difference:.4f}"])
    return csv_text(lines)
