"""Results → tables for the terminal, Markdown and CSV, figures, and one HTML page that opens anywhere.

The names are fetched on first use, so that a printed list or table does not wait for matplotlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.report.figures.strip import Example
    from lowshot.report.figures.style import Plot, Theme, new_figure
    from lowshot.report.page import Section
    from lowshot.report.tables import paper_tables, to_csv, to_markdown
    from lowshot.report.writing import write_report

__all__ = ["Example", "Plot", "Section", "Theme", "new_figure", "paper_tables", "to_csv", "to_markdown", "write_report"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "figures.strip": ("Example",),
        "figures.style": ("Plot", "Theme", "new_figure"),
        "page": ("Section",),
        "tables": ("paper_tables", "to_csv", "to_markdown"),
        "writing": ("write_report",),
    },
)
