"""What every report shows, whether of a recipe or of result stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from lowshot.files import read_text, write_text
from lowshot.report.beside import Beside, beside_published, paper_csv, paper_grids, paper_notes, paper_section
from lowshot.report.episodes import episode_csv, episode_grid, episode_section
from lowshot.report.html import Section
from lowshot.report.published import Nature
from lowshot.report.table_data import Record
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
        episodes: results on N-way K-shot episodes, with the same names.
    """

    records: list[dict[str, Any]]
    setup: str
    metrics: Sequence[str] | None = None
    natures: Mapping[str, Nature] | None = None
    episodes: Sequence[Record] = ()

    def write(self, folder: Path, *, sections: Sequence[Section], **parts: Any) -> Path:
        """All files; ``parts`` are those of :func:`~lowshot.report.write_report`."""
        times = time_rows(self.records, self.setup)
        sections = [*sections, time_section(times)]
        if (found := self._beside_published()) is not None:
            notes, grids = paper_notes(self.records, found, self.setup), paper_grids(found)
            write_text(folder / "paper.md", "\n".join(["\n\n".join(notes), "", *(g.markdown() for g in grids)]))
            write_text(folder / "paper.csv", paper_csv(found))
            sections = [paper_section(notes, grids), *sections]
        grid = episode_grid(self.episodes, self.setup)
        if grid is not None:
            write_text(folder / "episodes.csv", episode_csv(self.episodes, self.setup))
            sections = [episode_section(grid), *sections]
        page = write_report(
            folder, records=self.records, sections=sections, setup=self.setup, metrics=self.metrics, **parts
        )
        tables = page.with_name("tables.md")
        further = [time_markdown(times)] if grid is None else [grid.markdown(), time_markdown(times)]
        write_text(tables, "\n".join([read_text(tables), *further]))
        return page

    def print(self) -> None:
        """The main tables, in the original's layout, to standard output."""
        console = Console(highlight=False)
        for table in paper_tables(self.records, self.metrics, self.setup, console.width):
            console.print(table)
            console.print()
        if (grid := episode_grid(self.episodes, self.setup)) is not None:
            console.print(grid.rich())
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
