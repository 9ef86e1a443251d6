"""The page ``report.html``: one file that needs no network and no other file.

Without scripts it shows every table and figure. Its scripts, which it holds, sort and narrow the tables and draw the
line figures again, with values on hover.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import PIL.Image
import PIL.ImageChops
import PIL.ImageStat
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lowshot.report.differences import Differences
from lowshot.report.figures.strip import Example, by_source
from lowshot.report.figures.style import DARK, LIGHT, Plot
from lowshot.report.figures.tiles import SMALL, is_photo
from lowshot.report.scripts import scripts
from lowshot.report.table_data import Row, TableData, primary
from lowshot.report.tables import TextTable, file_links, file_stem
from lowshot.report.winners import headlines

INVISIBLE = 2.0
"""The root mean square error, of 255, up to which a figure may lose colours on the page."""


@dataclass(frozen=True)
class Fold:
    """A part of a section that is folded away below it until a reader opens it or follows a link to it.

    Attributes:
        title (str): The line that is always shown.
        anchor (str): The name that links to it have, unique on the page.
        html (str): The text, as that of a :class:`Section`.
        plots (sequence of Plot): The figures to save and to embed below the text.
    """

    title: str
    anchor: str
    html: str = ""
    plots: Sequence[Plot] = ()


@dataclass(frozen=True)
class Section:
    """A further part of the page, such as one about a generator, which follows the results.

    Attributes:
        title (str): The heading.
        html (str): The text; a plain ``str`` is escaped, a :class:`markupsafe.Markup` is taken as it is. Scripts and
            anything from another address are blocked by the page.
        plots (sequence of Plot): The figures to save and to embed below the text.
        tables (sequence of TextTable): The tables in the text, to save; each has the name that the text links to, as
            :meth:`TextTable.html <lowshot.report.tables.TextTable.html>` does.
        folds (sequence of Fold): Further parts, folded away below it.
        files (sequence of Plot): The figures to save that the page does not show.
    """

    title: str
    html: str = ""
    plots: Sequence[Plot] = ()
    tables: Sequence[TextTable] = ()
    folds: Sequence[Fold] = ()
    files: Sequence[Plot] = ()

    @property
    def embedded(self) -> list[Plot]:
        """The figures that the page shows."""
        return [*self.plots, *(plot for fold in self.folds for plot in fold.plots)]


@dataclass(frozen=True)
class Picture:
    """A plot as the page embeds it: PNG bytes for the light and for the dark page."""

    plot: Plot
    light: bytes
    dark: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, at which the text of the figure is as large as that around it."""
        with PIL.Image.open(io.BytesIO(self.light)) as image:
            return round(image.width / 1.4), round(image.height / 1.4)

    @property
    def chart_json(self) -> str:
        """The numbers of the plot for the page's script; empty where there is only the drawing."""
        chart = self.plot.chart
        return "" if chart is None else json.dumps(chart.as_json(), ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Page:
    """The content of the template.

    ``pictures`` are found by the name of their plot, ``differences`` by metric and number of shots; ``tested`` says in
    words what intervals and tests of differences hold over, empty where nothing was tested. ``references`` is true
    where ``references.bib`` lies beside the page. ``origin`` is a sentence on what made the features, empty where that
    is not known.
    """

    title: str
    description: str
    tables: Sequence[TableData]
    pictures: Mapping[str, Picture]
    examples: Sequence[Example]
    recipe_yaml: str
    provenance: Mapping[str, Any]
    notes: Sequence[str]
    sections: Sequence[Section]
    differences: Mapping[str, Mapping[int, Differences]]
    tested: str
    differing: Section | None
    references: bool = False
    origin: str = ""


def render_page(page: Page) -> str:
    """The HTML of a page; the same text for the same page."""
    environment = Environment(
        loader=PackageLoader("lowshot.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["figure_uri"] = _figure_uri
    environment.filters["thumbnail_uri"] = _thumbnail_uri
    shown = primary(page.tables)
    return environment.get_template("report.html.j2").render(
        page=page,
        primary=shown,
        further=[table for table in page.tables if table not in shown],
        headlines=headlines(page.tables, page.differences),
        file_links=file_links,
        file_stem=file_stem,
        is_tied=partial(_is_tied, page.differences),
        has_top5=any(table.metric.endswith("_top5") for table in page.tables),
        several_trainings=any(
            cell is not None and cell.trainings for table in page.tables for row in table.rows for cell in row.cells
        ),
        headline_shots=sorted({n for table in shown[:2] for n in table.n_shots}),
        example_groups=by_source(page.examples),
        facts=list(_flat(page.provenance)),
        themes={theme.name: theme for theme in (LIGHT, DARK)},
        scripts=scripts(),
    )


def _is_tied(differences: Mapping[str, Mapping[int, Differences]], table: TableData, column: int, row: Row) -> bool:
    """True where a row is not significantly worse than the best of its column."""
    found = differences.get(table.metric, {}).get(table.n_shots[column])
    return found is not None and table.rows.index(row) in found.ties


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as (``versions · torch``, text) pairs."""
    for key, value in facts.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} · ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(item) for item in value)
        else:
            yield name, str(value)


def _figure_uri(png: bytes) -> Markup:
    """A figure with 256 colours, a third of its size, where that changes no pixel visibly, as in line figures.

    Others, such as strips of photographs, are WebP, lossless where that is smaller.
    """
    with PIL.Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGB")
    reduced = image.quantize(256, dither=PIL.Image.Dither.NONE)
    errors = PIL.ImageStat.Stat(PIL.ImageChops.difference(image, reduced.convert("RGB"))).rms
    file = io.BytesIO()
    if max(errors) < INVISIBLE:
        reduced.save(file, "png", optimize=True)
        return _data_uri(file.getvalue())
    image.save(file, "webp", quality=75, method=6)
    exact = io.BytesIO()
    image.save(exact, "webp", lossless=True, quality=50)
    return _data_uri(min(exact.getvalue(), file.getvalue(), key=len), "webp")


def _data_uri(data: bytes, kind: str = "png") -> Markup:
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


def _thumbnail_uri(example: Example) -> Markup:
    """Small images exactly; photographs as JPEG, which is a tenth of their PNG."""
    return _image_uri(example.thumbnail, example.is_photo)


def _image_uri(thumbnail: PIL.Image.Image, is_photo: bool) -> Markup:
    kind = "jpeg" if is_photo else "png"
    file = io.BytesIO()
    thumbnail.save(file, kind, quality=85)
    return _data_uri(file.getvalue(), kind)


def image_tag(image: PIL.Image.Image, alt: str) -> Markup:
    """A small copy of an image as an element of the page, for the text of a section.

    Args:
        image (PIL image): The image; photographs are reduced.
        alt (str): The content in words.
    """
    smooth = is_photo(image)
    copy = image.convert("RGB")
    copy.thumbnail((SMALL * 3 // 2, SMALL * 3 // 2))
    tag = Markup('<img src="{}"{} alt="{}">')
    return tag.format(_image_uri(copy, smooth), Markup(' class="photo"' if smooth else ""), alt)
