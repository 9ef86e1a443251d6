"""What every report shows, whether of a recipe or of result stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from lowshot.io import read_text, write_text
from lowshot.report.beside import Beside, beside_published, paper_csv, paper_grids, paper_notes, paper_section
from lowshot.report.html import Section
from lowshot.report.published import Nature
from lowshot.report.tables import paper_tables
from lowshot.report.timing import time_markdown, time_rows, time_section
from lowshot.report.writing import write_report


@dataclass(frozen=True)
class Report:
    """What every report shows, whether of a recipe or of stores.

    Attributes:
        records: with the names that tables show.
        setup: "test" or "val".
        metrics: accuracies to show; None for all that were measured.
        natures: what each representation is, where the published tables are to stand beside ours.
    """

    records: list[dict[str, Any]]
    setup: str
    metrics: Sequence[str] | None = None
    natures: Mapping[str, Nature] | None = None

    def write(self, folder: Path, *, sections: Sequence[Section], **parts: Any) -> Path:
        """All files; ``parts`` are those of :func:`~lowshot.report.write_report`."""
        times = time_rows(self.records, self.setup)
        sections = [*sections, time_section(times)]
        if (found := self._beside_published()) is not None:
            notes, grids = paper_notes(self.records, found, self.setup), paper_grids(found)
            write_text(folder / "paper.md", "\n".join(["\n\n".join(notes), "", *(g.markdown() for g in grids)]))
            write_text(folder / "paper.csv", paper_csv(found))
            sections = [paper_section(notes, grids), *sections]
        page = write_report(
            folder, records=self.records, sections=sections, setup=self.setup, metrics=self.metrics, **parts
        )
        tables = page.with_name("tables.md")
        write_text(tables, f"{read_text(tables)}\n{time_markdown(times)}")
        return page

    def print(self) -> None:
        """The main tables, in the original's layout, to standard output."""
        console = Console(highlight=False)
        for table in paper_tables(self.records, self.metrics, self.setup, console.width):
            console.print(table)
            console.print()
        if (found := self._beside_published()) is not None:
            for note in paper_notes(self.records, found, self.setup):
                console.print(f"{note}\n", markup=False)
            for grid in paper_grids(found):
                console.print(grid.rich())
                console.print()

    def _beside_published(self) -> dict[str, list[Beside]] | None:
        if self.natures is None:
            return None
        return beside_published(self.records, self.natures, self.metrics, self.setup)
