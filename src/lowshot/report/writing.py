"""All files of a report from plain results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowshot.errors import LowshotError
from lowshot.files import Pathlike, write_bytes, write_text
from lowshot.report.figures.accuracy import accuracy_plot
from lowshot.report.figures.strip import Example, strip_plot
from lowshot.report.figures.style import DARK, LIGHT, Plot, render
from lowshot.report.figures.training import training_plot
from lowshot.report.html import Page, Picture, Section, render_page
from lowshot.report.table_data import Record, build_tables, primary
from lowshot.report.tables import to_csv, to_markdown


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
    setup: str = "test",
    metrics: Sequence[str] | None = None,
) -> Path:
    """Write ``figures/*.png``, ``figures/*.pdf``, ``tables.md``, ``tables.csv`` and last ``report.html``.

    Each file appears whole or not at all, and the same input gives the same bytes.

    Args:
        out_dir: made where it is missing.
        title: heading of the page.
        description: what was compared, for people; plain text, blank lines part paragraphs.
        records: results of the benchmark, one per task.
        training_logs: {representation: records of its training log}; empty where nothing was trained.
        examples: test images with their predictions.
        recipe_yaml: the resolved recipe; the page has no such part where it is empty.
        provenance: versions, host, time, seeds, fingerprints; mappings may nest.
        notes: what a reader must know besides, such as skipped images.
        sections: further parts of the page.
        setup: "test", or "val" for a report on the classes that hyper-parameters are chosen on.
        metrics: accuracies to show; by default all that were measured.

    Returns:
        The path of ``report.html``.

    Raises:
        InputError: nothing to report, as :func:`~lowshot.report.table_data.build_tables` says.
    """
    folder = Path(out_dir)
    tables = build_tables(records, metrics, setup)
    plots = [accuracy_plot(table) for table in primary(tables)]
    plots += [plot for plot in (training_plot(training_logs),) if plot is not None]
    plots += [plot for section in sections for plot in section.plots]
    pictures = _save(folder / "figures", plots)
    if examples:
        _save(folder / "figures", [strip_plot(examples)])
    write_text(folder / "tables.md", to_markdown(records, metrics, setup))
    write_text(folder / "tables.csv", to_csv(records, metrics, setup))
    page = Page(title, description, tables, pictures, examples, recipe_yaml, provenance, notes, sections)
    write_text(folder / "report.html", render_page(page))
    return folder / "report.html"


def _save(folder: Path, plots: Sequence[Plot]) -> dict[str, Picture]:
    """Draw each plot for paper and for both themes of the page."""
    if twice := [name for name, count in Counter(plot.name for plot in plots).items() if count > 1]:
        raise LowshotError(f"several plots are named {', '.join(twice)}: their files would replace each other")
    pictures = {}
    for plot in plots:
        files = render(plot, LIGHT, ("png", "pdf"))
        for extension, data in files.items():
            write_bytes(folder / f"{plot.name}.{extension}", data)
        pictures[plot.name] = Picture(plot, files["png"], render(plot, DARK)["png"])
    return pictures
