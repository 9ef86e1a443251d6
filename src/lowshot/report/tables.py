"""Tables of texts for the terminal, for Markdown, for the page and for CSV, in the layout of the original's README."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lowshot import escaping
from lowshot.benchmark.results import Record
from lowshot.escaping import csv_cell
from lowshot.progress import SafeConsole
from lowshot.report.table_data import Cell, TableData, build_tables, informative, primary

MISSING = "–"
NAMES = ("Representation", "Method")
"""The heads of the two name columns of every table of results."""


@dataclass(frozen=True)
class TextTable:
    """Rows of texts below their heads.

    Attributes:
        title (str): The title.
        head (sequence of str): The head of each column.
        rows (sequence of rows): The texts, as wide as the head; rich texts are for terminals alone.
        caption (str): A sentence on what a cell means.
        names (int): The number of columns on the left that hold names; the others hold numbers.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    caption: str = ""
    names: int = 2

    def rich(self) -> Table:
        """The table for a terminal; a name that repeats the line above is left out."""
        table = Table(
            title=Text(self.title, style="bold"),
            min_width=len(self.title),
            caption=Text(f"{self.caption}\n", style="dim") if self.caption else None,
            title_justify="left",
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            collapse_padding=True,
        )
        for column, text in enumerate(self.head):
            if column < self.names:
                table.add_column(text, overflow="fold")
            else:
                table.add_column(text, justify="right", no_wrap=True)
        above: Sequence[str | Text] = ()
        for row in self.rows:
            same = next((i for i, (a, b) in enumerate(zip(above, row)) if str(a) != str(b)), 0)
            cells = ["" if i < min(same, self.names - 1) else cell for i, cell in enumerate(row)]
            table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
            above = row
        return table

    def markdown(self) -> str:
        """The table for GitHub, the title in bold; names are escaped, numbers are Markdown already."""
        rule = [":---" if i < self.names else "---:" for i in range(len(self.head))]
        rows = [
            [escaping.markdown(str(c)) if i < self.names else str(c) for i, c in enumerate(row)] for row in self.rows
        ]
        head = [escaping.markdown(text) for text in self.head]
        lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
        return "\n".join([f"**{escaping.markdown(self.title)}**", "", *lines, "", self.caption, ""])

    def html(self) -> Markup:
        """The table for the page, without the title."""
        heads = [
            Markup('<th scope="col"{}>{}</th>').format(Markup("" if i < self.names else ' class="number"'), head)
            for i, head in enumerate(self.head)
        ]
        name, number = Markup('<th scope="row">{}</th>'), Markup('<td class="number">{}</td>')
        rows = [
            Markup("<tr>{}</tr>").format(
                Markup("").join((name if i < self.names else number).format(cell) for i, cell in enumerate(row))
            )
            for row in self.rows
        ]
        caption = Markup('<p class="quiet">{}</p>').format(self.caption) if self.caption else ""
        table = Markup(
            '<div class="scroll" tabindex="0"><table class="sortable"><thead><tr>{}</tr></thead>'
            "<tbody>{}</tbody></table></div>{}"
        )
        return table.format(Markup("").join(heads), Markup("").join(rows), caption)


def paper_tables(
    records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test", width: int | None = None
) -> list[Table]:
    """One rich table per metric; where a row is too wide, intervals close up to their means, then go below them.

    Args:
        records (iterable of mappings): The results of the benchmark, one per experiment.
        metrics (sequence of str or None): The accuracies to show; by default those of
            :data:`~lowshot.report.table_data.PRIMARY` that were measured.
        setup (str): The setup to show, "test" or "val".
        width (int or None): The number of characters to fit into; that of the terminal by default.

    Raises:
        InputError: The records cannot be shown, as :func:`~lowshot.report.table_data.build_tables` says.
    """
    console = SafeConsole(width=width)
    tables = build_tables(records, metrics, setup)
    return [_fitting(table, console) for table in (primary(tables) if metrics is None else tables)]


def to_markdown(records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test") -> str:
    """The tables that readers see as GitHub Markdown, the best mean of a column in bold."""

    def text(cell: Cell, is_best: bool) -> str:
        return f"**{cell}**" if is_best else str(cell)

    tables = build_tables(records, metrics, setup)
    return "\n".join(_texts(table, text).markdown() for table in (informative(tables) if metrics is None else tables))


def to_csv(records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test") -> str:
    """All tables as one long CSV: a line per entry, per cent with four decimals, empty where there is no interval."""
    head = ["metric", "setup", "representation", "method", "n_shots", "mean", "interval95", "experiments"]
    lines = [
        [table.metric, table.setup, row.representation, row.method, n, *csv_numbers(cell)]
        for table in build_tables(records, metrics, setup)
        for row in table.rows
        for n, cell in zip(table.n_shots, row.cells, strict=True)
        if cell is not None
    ]
    return csv_text([head, *lines])


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """Rows as the text of a CSV file, in which no text is a formula for a spreadsheet."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([[csv_cell(value) for value in line] for line in lines])
    return file.getvalue()


def csv_numbers(cell: Cell) -> list[object]:
    """The mean, half the interval and the number of experiments of a cell, for a CSV file."""
    return [f"{cell.mean:.4f}", "" if cell.half_width is None else f"{cell.half_width:.4f}", len(cell.accuracies)]


def _fitting(table: TableData, console: Console) -> Table:
    unlimited = console.options.update(max_width=10_000)
    for between in (" ", "", "\n"):
        drawn = _texts(table, partial(_rich_text, between)).rich()
        if Measurement.get(console, unlimited, drawn).maximum <= console.width:
            break
    return drawn


def _rich_text(between: str, cell: Cell, is_best: bool) -> Text:
    text = Text(cell.mean_text, style="bold" if is_best else "")
    if cell.interval_text:
        text.append(between).append(cell.interval_text, style="not bold dim")
    return text


def _texts(table: TableData, text: Callable[[Cell, bool], str | Text]) -> TextTable:
    """A table of results as texts; ``text`` turns a cell, which may have the best mean of its column, into one."""
    missing, best = Text(MISSING, style="dim"), table.best
    rows: list[list[str | Text]] = []
    for row in table.rows:
        cells = [missing if c is None else text(c, c.mean == b) for c, b in zip(row.cells, best, strict=True)]
        rows.append([row.representation, row.method, *cells])
    return TextTable(table.title, [*NAMES, *table.columns], rows, table.caption)
