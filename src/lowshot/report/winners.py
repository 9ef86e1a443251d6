"""The best method at each number of shots, what it is the same as, and its lead over the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lowshot.report.differences import Difference, Differences
from lowshot.report.table_data import Cell, Row, TableData, primary
from lowshot.report.tables import MISSING, TextTable

Headlines = Sequence[tuple[TableData, Mapping[int, "Winner"]]]
"""The tables that the page opens with, and the winner of each at each number of shots."""


@dataclass(frozen=True)
class Winner:
    """The highest mean of a column and its lead over the second.

    Attributes:
        row (Row): The method, on its representation.
        cell (Cell): Its accuracy.
        second (Row or None): The row with the next highest mean that is not the same as the winner; None where there
            is no other.
        lead (Cell or Difference or None): The difference to the second within each experiment; None where they share
            none.
        copies (tuple of (Row, str)): The rows that are the same, and the reasons.
        ties (int): The number of other rows that are not significantly worse.
    """

    row: Row
    cell: Cell
    second: Row | None
    lead: Cell | Difference | None
    copies: tuple[tuple[Row, str], ...] = ()
    ties: int = 0

    @property
    def is_clear(self) -> bool:
        """True where the winner differs from the second: by the test of all pairs, or by the 95 % interval of the lead.

        False where one experiment gives no interval.
        """
        if isinstance(self.lead, Difference):
            return self.lead.is_real
        return self.lead is not None and self.lead.half_width is not None and self.lead.mean > self.lead.half_width


def headlines(tables: Sequence[TableData], differences: Mapping[str, Mapping[int, Differences]]) -> Headlines:
    """The winners of the two tables that the page opens with.

    Args:
        tables (sequence of TableData): All tables of the page.
        differences (mapping): The differences of the rows of a table at each number of shots, by its metric.
    """
    return [(table, winners(table, differences.get(table.metric))) for table in primary(tables)[:2]]


def headline_table(found: Headlines) -> TextTable:
    """The winners as the page opens with them, for the files of that table."""
    rows = [
        [table.title, str(n), str(one.cell), _name(one.row), *_lead(one)]
        for table, best in found
        for n, one in best.items()
    ]
    caption = "The highest means, and their lead over the next within the same draws of shots, in points."
    head = ["Accuracy", "n", "mean", "best", "lead", "next"]
    return TextTable("Best methods", head, rows, caption, name="best")


def _lead(one: Winner) -> list[str]:
    return [MISSING if one.lead is None else str(one.lead), MISSING if one.second is None else _name(one.second)]


def _name(row: Row) -> str:
    return f"{row.representation} · {row.method}"


def winners(table: TableData, differences: Mapping[int, Differences] | None = None) -> dict[int, Winner]:
    """The winner of each number of shots; the upper row wins among equals.

    Args:
        table (TableData): The table.
        differences (mapping or None): The differences of its rows at each number of shots. Without them, leads are over
            draws of the shots alone, and no row is known to be the same as another.
    """
    return {
        n: _alone(table, column) if differences is None else _compared(differences[n], column)
        for column, n in enumerate(table.n_shots)
    }


def _alone(table: TableData, column: int) -> Winner:
    entries = [(cell, row) for row in table.rows if (cell := row.cells[column]) is not None]
    (cell, row), *others = sorted(entries, key=lambda entry: -entry[0].mean)
    second_cell, second = others[0] if others else (None, None)
    return Winner(row, cell, second, cell.lead_over(second_cell) if second_cell else None)


def _compared(found: Differences, column: int) -> Winner:
    rows, (first, *others) = found.table.rows, found.ranking
    first = found.copies.get(first, (first, ""))[0]
    copies = {copy: why for copy, (original, why) in found.copies.items() if original == first}
    others = [i for i in (*found.ranking[:1], *others) if i != first and i not in copies]
    cell = rows[first].cells[column]
    assert cell is not None
    return Winner(
        rows[first],
        cell,
        rows[others[0]] if others else None,
        found.between(first, others[0]) if others else None,
        tuple((rows[i], why) for i, why in copies.items()),
        len(found.ties - {first, *copies}),
    )
