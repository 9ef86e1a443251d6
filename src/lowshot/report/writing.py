"""All files of a report, from plain results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lowshot.benchmark.results import Record
from lowshot.errors import LowshotError
from lowshot.escaping import printable
from lowshot.files import Pathlike, write_bytes, write_text
from lowshot.progress import SafeConsole
from lowshot.report.class_results import class_results, classes_csv, confusions_csv, kinds_csv
from lowshot.report.class_views import TestImages, class_section
from lowshot.report.difference_views import difference_section, sources_in_words
from lowshot.report.differences import differences_csv, find_differences
from lowshot.report.figures.accuracy import accuracy_plot
from lowshot.report.figures.strip import Example, strip_plot
from lowshot.report.figures.style import DARK, LIGHT, Plot, render
from lowshot.report.figures.training import training_plot
from lowshot.report.further_tables import episode_csv, episode_table, time_table
from lowshot.report.neighbours import NOTES, neighbour_tables
from lowshot.report.page import Page, Picture, Section, render_page
from lowshot.report.published import (
    RepresentationKind,
    compare_with_published,
    published_csv,
    published_notes,
    published_tables,
)
from lowshot.report.table_data import TableData, best_first, build_tables, informative, over_all_classes, primary
from lowshot.report.table_files import save_tables
from lowshot.report.tables import TextTable, fitting_tables, print_tables, result_table, to_csv, to_markdown
from lowshot.report.training_views import training_section, trainings_csv
from lowshot.report.winners import headline_table, headlines


@dataclass(frozen=True)
class Report:
    """The results of a recipe or of result stores, and the parts that every report of them has.

    Attributes:
        records (list of dict): The results, with the names that tables show.
        setup (str): The setup to show, "test" or "val".
        metrics (sequence of str or None): The accuracies to show; None for all that were measured.
        kinds (mapping or None): The kind of each representation, where the results are to be compared with the
            published tables.
        episodes (sequence of mappings): The results on N-way K-shot episodes, with the same names.
    """

    records: list[dict[str, Any]]
    setup: str
    metrics: Sequence[str] | None = None
    kinds: Mapping[str, RepresentationKind] | None = None
    episodes: Sequence[Record] = ()

    @cached_property
    def tables(self) -> list[TableData]:
        """A table for each accuracy."""
        return build_tables(self.records, self.metrics, self.setup)

    def write(
        self, folder: Path, *, sections: Sequence[Section] = (), images: TestImages | None = None, **parts: Any
    ) -> Path:
        """Write all files.

        Args:
            folder (Path): The folder, made where it is missing.
            sections (sequence of Section): Further parts of the page, which follow those that every report has.
            images (TestImages or None): The images of the queries, where the recipe has them.
            **parts (objects): The other arguments of :func:`write_report`.

        Returns:
            The path of ``report.html``.
        """
        own = self._details(folder, images)
        times, episodes = time_table(self.records, self.setup), episode_table(self.episodes, self.setup)
        if episodes is not None:
            write_text(folder / "episodes.csv", episode_csv(self.episodes, self.setup))
            own.append(Section("Episodes", episodes.html(), tables=[episodes]))
        if self.kinds is not None:
            compared = compare_with_published(self.records, self.kinds, self.metrics, self.setup)
            notes, tables = published_notes(self.records, compared, self.setup), published_tables(compared)
            if neighbours := neighbour_tables(self.records, self.kinds, self.metrics, self.setup):
                notes, tables = [*notes, *NOTES], [*tables, *neighbours]
            text = "\n".join(["\n\n".join(notes), "", *(table.markdown() for table in tables)])
            write_text(folder / "paper.md", printable(text))
            write_text(folder / "paper.csv", published_csv(compared))
            html = [Markup("<p>{}</p>").format(note) for note in notes]
            html += [Markup("<h3>{}</h3>{}").format(table.title, table.html()) for table in tables]
            own.append(Section("Compared with the published tables", Markup("").join(html), tables=tables))
        time_html = Markup("<p>{}</p>{}").format(times.caption, replace(times, caption="").html())
        return write_report(
            folder,
            records=self.records,
            sections=[*own, *sections, Section("Time", time_html, tables=[times])],
            further_tables=[times] if episodes is None else [episodes, times],
            setup=self.setup,
            metrics=self.metrics,
            **parts,
        )

    def _details(self, folder: Path, images: TestImages | None) -> list[Section]:
        """The parts of the page on several trainings and on single classes, whose numbers are saved beside it."""
        tables = primary(self.tables)
        results = class_results(self.records, self.setup)
        if results:
            write_text(folder / "classes.csv", classes_csv(results))
            write_text(folder / "confusions.csv", confusions_csv(results))
            write_text(folder / "kinds.csv", kinds_csv(results))
        trained = training_section(tables)
        if trained.tables:
            write_text(folder / "trainings.csv", trainings_csv(self.tables))
        ranking = best_first(over_all_classes(tables))
        return [trained, class_section(results, ranking, images)]

    def print(self) -> None:
        """Print the main tables, in the original's layout, to standard output."""
        console = SafeConsole()
        tables = fitting_tables(self.records, self.metrics, self.setup, console.width)
        if (episodes := episode_table(self.episodes, self.setup)) is not None:
            tables.append(episodes)
        print_tables(console, tables)
        if self.kinds is not None:
            compared = compare_with_published(self.records, self.kinds, self.metrics, self.setup)
            for note in published_notes(self.records, compared, self.setup):
                console.print(f"{note}\n", markup=False)
            neighbours = neighbour_tables(self.records, self.kinds, self.metrics, self.setup)
            for note in NOTES if neighbours else ():
                console.print(f"{note}\n", markup=False)
            print_tables(console, [*published_tables(compared), *neighbours])


def write_report(
    out_dir: Pathlike,
    *,
    title: str,
    description: str,
    records: Sequence[Record],
    training_logs: Mapping[str, Sequence[Mapping[str, Any]]],
    examples: Sequence[Example],
    recipe_yaml: str,
    provenance: Mapping[str, Any],
    notes: Sequence[str],
    sections: Sequence[Section] = (),
    further_tables: Sequence[TextTable] = (),
    setup: str = "test",
    metrics: Sequence[str] | None = None,
    references: str = "",
    origin: str = "",
) -> Path:
    """Write the figures, the tables and last the page ``report.html``.

    Beside it are ``tables.md``, ``tables.csv`` and ``comparisons.csv``, for use in a paper ``figures/*.pdf`` (and
    ``.png``), each table of the page as ``tables/*.csv`` and ``tables/*.tex``, and ``references.bib``.

    Each file appears whole or not at all, and the same input gives the same bytes.

    Args:
        out_dir (path): The folder, made where it is missing.
        title (str): The heading of the page.
        description (str): The text on what was compared, for people; blank lines part paragraphs.
        records (sequence of mappings): The results of the benchmark, one per experiment.
        training_logs (mapping): The records of the training log of each representation; empty where nothing was
            trained.
        examples (sequence of Example): The test images to show with their predictions.
        recipe_yaml (str): The resolved recipe; the page has no such part where it is empty.
        provenance (mapping): The versions, host, time, seeds and fingerprints; mappings may nest.
        notes (sequence of str): The sentences that a reader must know besides, such as on skipped images.
        sections (sequence of Section): Further parts of the page.
        further_tables (sequence of TextTable): Further tables of ``tables.md``.
        setup (str): The setup to show: "test", or "val" for the classes that hyper-parameters are chosen on.
        metrics (sequence of str or None): The accuracies to show; by default all that were measured.
        references (str): The BibTeX entries of the methods, for ``references.bib``; there is no such file where it is
            empty.
        origin (str): A sentence for the introduction of the page on what made the features, where that is known.

    Returns:
        The path of ``report.html``.

    Raises:
        InputError: There is nothing to report, as :func:`~lowshot.report.table_data.build_tables` says.
        LowshotError: Several plots have one name, or several tables.
    """
    folder = Path(out_dir)
    tables = build_tables(records, metrics, setup)
    tables = informative(tables) if metrics is None else tables
    differences = {table.metric: find_differences(records, table) for table in tables}
    plots = [accuracy_plot(table) for table in primary(tables)]
    plots += [plot for plot in (training_plot(training_logs),) if plot is not None]
    plots += [plot for section in sections for plot in section.embedded]
    files = [strip_plot(examples)] if examples else []
    files += [plot for section in sections for plot in section.files]
    pictures = _save(folder / "figures", plots, files)
    markdown = [to_markdown(records, metrics, setup), *(table.markdown() for table in further_tables)]
    write_text(folder / "tables.md", printable("\n".join(markdown)))
    write_text(folder / "tables.csv", to_csv(records, metrics, setup))
    shown = [differences[table.metric] for table in primary(tables)]
    write_text(folder / "comparisons.csv", differences_csv([differences[table.metric] for table in tables]))
    tested = sources_in_words(one for found in shown for one in found.values())
    differing = difference_section(shown[:2])
    saved = [headline_table(headlines(tables, differences))]
    saved += [result_table(table, {n: one.ties for n, one in differences[table.metric].items()}) for table in tables]
    saved += [table for section in (differing, *sections) if section is not None for table in section.tables]
    save_tables(folder, saved)
    if references:
        write_text(folder / "references.bib", printable(references))
    texts = (recipe_yaml, provenance, notes, sections)
    tests = (differences, tested, differing)
    page = Page(title, description, tables, pictures, examples, *texts, *tests, bool(references), origin)
    write_text(folder / "report.html", printable(render_page(page)))
    return folder / "report.html"


def _save(folder: Path, embedded: Sequence[Plot], files: Sequence[Plot]) -> dict[str, Picture]:
    """Draw each plot for paper, and those that the page shows for both its themes."""
    if twice := [name for name, count in Counter(plot.name for plot in [*embedded, *files]).items() if count > 1]:
        raise LowshotError(f"several plots are named {', '.join(twice)}: their files would replace each other")
    pictures = {}
    for plot in [*embedded, *files]:
        drawn = render(plot, LIGHT, ("png", "pdf"))
        for extension, data in drawn.items():
            write_bytes(folder / f"{plot.name}.{extension}", data)
        if plot in embedded:
            pictures[plot.name] = Picture(plot, drawn["png"], render(plot, DARK)["png"])
    return pictures
