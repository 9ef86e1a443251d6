"""Tables of texts for the terminal, for Markdown, for the page and for CSV, in the layout of the original's README."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
_BETWEEN = (" ", "", "\n")
"""Between a mean and its interval: beside each other, close, or below, whichever fits into the line first."""
FOLDER = "tables"
"""The folder of the files of single tables, beside the page."""
NAMES = ("Representation", "Method")
"""The heads of the two name columns of every table of results."""


@dataclass(frozen=True)
class TextTable:
    """Rows of texts below their heads.

    Attributes:
        title (str): The title.
        head (sequence of str): The head of each column.
        rows (sequence of rows): The texts, as wide as the head; rich texts are for terminals alone.
        caption (str): A sentence on what a cell means, which several tables may share.
        remark (str): A further sentence on this table.
        names (int): The number of columns on the left that hold names; the others hold numbers.
        name (str): The stem of its files in :data:`FOLDER`, to which the page links; empty where it has none.
        best (collection of pairs): The row and column of each cell that has the best mean of its column.
        ties (collection of pairs): The row and column of each further cell that is not significantly worse.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    caption: str = ""
    names: int = 2
    name: str = ""
    best: Collection[tuple[int, int]] = ()
    ties: Collection[tuple[int, int]] = ()
    remark: str = ""

    @property
    def full_caption(self) -> str:
        """The caption and the remark."""
        return " ".join(sentence for sentence in (self.caption, self.remark) if sentence)

    def rich(self) -> Table:
        """The table for a terminal; a name that repeats the line above is left out."""
        table = Table(
            title=Text(self.title, style="bold"),
            min_width=len(self.title),
            caption=Text(f"{self.full_caption}\n", style="dim") if self.full_caption else None,
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
        return "\n".join([f"**{escaping.markdown(self.title)}**", "", *lines, "", self.full_caption, ""])

    def html(self) -> Markup:
        """The table for the page, without the title, and links to its files."""
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
        caption = Markup('<p class="quiet">{}</p>').format(self.full_caption) if self.full_caption else ""
        table = Markup(
            '<div class="scroll" tabindex="0"><table class="sortable"><thead><tr>{}</tr></thead>'
            "<tbody>{}</tbody></table></div>{}{}"
        )
        links = file_links(self.name) if self.name else ""
        return table.format(Markup("").join(heads), Markup("").join(rows), caption, links)


def file_links(name: str) -> Markup:
    """The links of the page to the files of a table.

    Args:
        name (str): The table's :attr:`TextTable.name`.
    """
    links = '<p class="files"><a href="{0}/{1}.csv">CSV</a> · <a href="{0}/{1}.tex">LaTeX</a></p>'
    return Markup(links).format(FOLDER, name)


def file_stem(*parts: object) -> str:
    """A stem of file names that any file system takes, of labels that may hold anything."""
    plain = unicodedata.normalize("NFKD", "_".join(map(str, parts))).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9_]+", "_", plain).strip("_")[:60]


def result_table(table: TableData, tied: Mapping[int, Collection[int]]) -> TextTable:
    """The table of an accuracy as the page shows it, for its files.

    Args:
        table (TableData): The accuracies.
        tied (mapping): For each number of shots the places of the rows that are not significantly worse than the best.
    """
    cells = {(i, j): cell for i, row in enumerate(table.rows) for j, cell in enumerate(row.cells) if cell is not None}
    best = {(i, j + 2) for (i, j), cell in cells.items() if cell.mean == table.best[j]}
    ties = {(i, j + 2) for i, j in cells if i in tied.get(table.n_shots[j], ())} - best
    return replace(_texts(table, lambda cell, _: str(cell)), name=file_stem(table.metric), best=best, ties=ties)


def paper_tables(
    records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test", width: int | None = None
) -> list[Table]:
    """One rich table per metric with its caption, as :func:`fitting_tables` makes them; arguments are the same."""
    return [table.rich() for table in fitting_tables(records, metrics, setup, width)]


def fitting_tables(
    records: Iterable[Record], metrics: Sequence[str] | None = None, setup: str = "test", width: int | None = None
) -> list[TextTable]:
    """One table per metric; where a row is too wide, intervals close up to their means, then go below them.

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


def print_tables(console: Console, tables: Sequence[TextTable]) -> None:
    """Print tables, and after the last one their captions, each once: where they differ, titles have footnote marks.

    Args:
        console (Console): The terminal.
        tables (sequence of TextTable): The tables.
    """
    said = [[sentence for sentence in (table.caption, table.remark) if sentence] for table in tables]
    footnotes = list(dict.fromkeys(sentence for sentences in said for sentence in sentences))
    of_all = [sentence for sentence in footnotes if all(sentence in sentences for sentences in said)]
    marks = {sentence: _mark(n) for n, sentence in enumerate((one for one in footnotes if one not in of_all), start=1)}
    for table, sentences in zip(tables, said):
        title = " ".join([table.title, *(marks[sentence] for sentence in sentences if sentence in marks)])
        console.print(_narrowed(replace(table, title=title, caption="", remark=""), console).rich(), "")
    for sentence in footnotes:
        console.print(Text(f"{marks.get(sentence, '')} {sentence}".strip(), style="dim"))
    if footnotes:
        console.print()


def _mark(number: int) -> str:
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(number))


def _fitting(table: TableData, console: Console) -> TextTable:
    for between in _BETWEEN:
        texts = _texts(table, partial(_rich_text, between))
        if _fits(texts, console):
            break
    return texts


def _narrowed(table: TextTable, console: Console) -> TextTable:
    """The same for a table of plain texts."""
    for between in _BETWEEN:
        rows = [[c.replace(" ±", f"{between}±") if isinstance(c, str) else c for c in row] for row in table.rows]
        texts = replace(table, rows=rows)
        if _fits(texts, console):
            break
    return texts


def _fits(table: TextTable, console: Console) -> bool:
    unlimited = console.options.update(max_width=10_000)
    return Measurement.get(console, unlimited, table.rich()).maximum <= console.width


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
    return TextTable(table.title, [*NAMES, *table.columns], rows, table.note, remark=table.guess)
