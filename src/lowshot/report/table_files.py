"""Every table of the page as CSV and as LaTeX, in files of their own beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from lowshot import escaping
from lowshot.errors import LowshotError
from lowshot.escaping import printable
from lowshot.files import write_text
from lowshot.report.tables import FOLDER, MISSING, TextTable, csv_text

_NUMBER = r"[+−-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_VALUE = re.compile(rf"({_NUMBER})(?: ?±(\d+(?:\.\d+)?))?(?: ([▲▼○=]))?")
"""A number as the cells of tables have it, which half its interval or a verdict may follow."""
_VERDICTS = {"▲": "beats", "▼": "beaten", "○": "tied", "=": "same"}
_FOREIGN = re.compile("[\u0370-\U0010ffff]")

MOST_ROWS = 40
"""A table of more rows is a ``longtable``, which goes on on the next page."""


def save_tables(folder: Path, tables: Iterable[TextTable]) -> None:
    """Write the files that the links below the tables of a page lead to.

    Args:
        folder (Path): The folder of the page.
        tables (iterable of TextTable): The tables with the names of their files.

    Raises:
        LowshotError: Several tables have one name, or one has none.
    """
    tables = list(tables)
    if nameless := [table.title for table in tables if not table.name]:
        raise LowshotError(f"table {nameless[0]!r} has no name for its files")
    if twice := [name for name, count in Counter(table.name for table in tables).items() if count > 1]:
        raise LowshotError(f"several tables are named {', '.join(twice)}: their files would replace each other")
    for table in tables:
        write_text(folder / FOLDER / f"{table.name}.csv", as_csv(table))
        write_text(folder / FOLDER / f"{table.name}.tex", printable(as_latex(table)))


def as_csv(table: TextTable) -> str:
    """The table as CSV: half of an interval, and a verdict, in columns after the mean; empty where nothing was run."""
    lines: list[list[str]] = [[] for _ in range(len(table.rows) + 1)]
    for head, *cells in zip(table.head, *table.rows):
        values = [_VALUE.fullmatch(str(cell)) for cell in cells]
        further = [(i, word) for i, word in ((2, "±"), (3, "verdict")) if any(value and value[i] for value in values)]
        lines[0] += [str(head), *(f"{head} {word}" for _, word in further)]
        for line, cell, value in zip(lines[1:], cells, values):
            line.append(_ascii(value[1]).lstrip("+") if value else _present(str(cell)))
            after = [(value[i] or "") if value else "" for i, _ in further]
            line += [_VERDICTS.get(text, text) for text in after]
    return csv_text(lines)


def as_latex(table: TextTable) -> str:
    r"""The table as LaTeX with the rules of booktabs, in a ``table`` of its own, to be used by ``\input``."""
    is_long = len(table.rows) > MOST_ROWS
    names = [_is_name(table, column) for column in range(len(table.head))]
    columns = "".join("l" if is_name else "r" for is_name in names)
    head = " & ".join(re.sub(r"^n=(\d+)$", r"$n=\1$", escaping.latex(text)) for text in table.head) + r" \\"
    is_grouped = table.names > 1 and len({str(row[0]) for row in table.rows}) < len(table.rows)
    body: list[str] = []
    above: Sequence[str] = ()
    for number, row in enumerate(table.rows):
        cells = [str(cell) for cell in row]
        if is_grouped and above and cells[0] != above[0]:
            body.append(r"\addlinespace")
        repeats = [table.names > 1 and cells[: i + 1] == list(above[: i + 1]) for i in range(table.names - 1)]
        shown = ["" if any(repeats[i : i + 1]) else _latex_cell(table, number, i) for i in range(len(cells))]
        body.append(" & ".join(shown) + r" \\")
        above = cells
    caption = rf"\caption{{{escaping.latex(_caption(table))}}}\label{{tab:{table.name}}}"
    packages = ["booktabs", *(["longtable"] if is_long else [])]
    text = "\n".join([caption, head, *body])
    packages += ["amssymb"] if re.search(r"\\(blacktriangle|checkmark)", text) else []
    lines = [f"% In the preamble: \\usepackage{{{','.join(packages)}}}"]
    if _FOREIGN.search(text):
        lines.append("% It has letters beyond Latin: use LuaLaTeX or XeLaTeX with a font that has them.")
    if is_long:
        lines += [rf"\begin{{longtable}}{{{columns}}}", rf"{caption}\\", r"\toprule", head, r"\midrule", r"\endhead"]
        lines += [r"\bottomrule", r"\endfoot", *body, r"\end{longtable}"]
    else:
        lines += [r"\begin{table}", r"\centering", caption, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head]
        lines += [r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _caption(table: TextTable) -> str:
    notes = [f"{table.title}." if table.title else "", table.full_caption]
    notes += ["Bold: the highest mean of its column."] if table.best else []
    notes += ["Underlined: not significantly lower."] if table.ties else []
    return " ".join(note for note in notes if note)


def _latex_cell(table: TextTable, row: int, column: int) -> str:
    cell = str(table.rows[row][column])
    value = _VALUE.fullmatch(cell)
    if value is None:
        return "--" if cell == MISSING else escaping.latex(cell)
    mean, half_width, verdict = _ascii(value[1]), value[2], value[3]
    if (row, column) in table.best:
        mean = rf"\mathbf{{{mean}}}"
    elif (row, column) in table.ties:
        mean = rf"\underline{{{mean}}}"
    interval = "" if half_width is None else rf" \pm {half_width}"
    return f"${mean}{interval}$" + ("" if verdict is None else f" {escaping.latex(verdict)}")


def _is_name(table: TextTable, column: int) -> bool:
    """True where a column holds words, which are aligned on the left, and not numbers."""
    cells = [cell for cell in _column(table, column) if _present(cell)]
    return column < table.names or not any(cell[0].isdigit() or cell[0] in "+−-" for cell in cells)


def _column(table: TextTable, column: int) -> list[str]:
    return [str(row[column]) for row in table.rows]


def _present(cell: str) -> str:
    return "" if cell == MISSING else cell


def _ascii(number: str) -> str:
    return number.replace("−", "-")
