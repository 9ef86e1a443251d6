"""The best method for each number of shots, and how clear its lead is."""

from __future__ import annotations

from dataclasses import dataclass

from lowshot.report.table_data import Cell, Row, TableData


@dataclass(frozen=True)
class Winner:
    """The highest mean of a column and its lead over the second.

    Attributes:
        n_shots: the column.
        row: the method, on its representation.
        cell: its accuracy.
        second: who comes next; None where nobody does.
        lead: the difference to the second within each experiment, where both had the same shots.
    """

    n_shots: int
    row: Row
    cell: Cell
    second: Row | None
    lead: Cell | None

    @property
    def is_clear(self) -> bool:
        """The 95 % interval of the lead excludes zero; False where one experiment gives no interval."""
        return self.lead is not None and self.lead.half_width is not None and self.lead.mean > self.lead.half_width


def winners(table: TableData) -> list[Winner]:
    """One winner per number of shots; the upper row wins among equals."""
    found = []
    for column, n in enumerate(table.n_shots):
        entries = [(cell, row) for row in table.rows if (cell := row.cells[column]) is not None]
        (cell, row), *others = sorted(entries, key=lambda entry: -entry[0].mean)
        second_cell, second = others[0] if others else (None, None)
        found.append(Winner(n, row, cell, second, cell.lead_over(second_cell) if second_cell else None))
    return found
