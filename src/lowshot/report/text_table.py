"""A plain table of texts, with a title and a caption, for the terminal, for Markdown and for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from rich import box
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Grid:
    """Rows of texts below their heads.

    Attributes:
        title: what is shown.
        head: of each column.
        rows: as wide as the head.
        caption: what a cell means.
        names: how many columns on the left hold names; the others hold numbers.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    names: int = 2

    def rich(self) -> Table:
        """For a terminal; a name that repeats the line above is left out."""
        return drawn(self.title, self.head, self.rows, self.caption, self.names)

    def markdown(self) -> str:
        """For GitHub, the title in bold."""
        return in_markdown(self.title, self.head, self.rows, self.caption, self.names)

    def html(self) -> Markup:
        """For the page, without the title."""
        heads = Markup("").join(
            Markup('<th scope="col"{}>{}</th>').format(self._side(i), head) for i, head in enumerate(self.head)
        )
        body = Markup("").join(
            Markup("<tr>{}</tr>").format(Markup("").join(self._cell(i, cell) for i, cell in enumerate(row)))
            for row in self.rows
        )
        caption = Markup('<p class="quiet">{}</p>').format(self.caption) if self.caption else ""
        table = Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}')
        return table.format(heads, body, caption)

    def _cell(self, column: int, text: str) -> Markup:
        kind = Markup('<th scope="row">{}</th>') if column < self.names else Markup('<td class="number">{}</td>')
        return kind.format(text)

    def _side(self, column: int) -> Markup:
        return Markup("" if column < self.names else ' class="number"')


def drawn(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str | Text]], caption: str = "", names: int = 2
) -> Table:
    """A table for a terminal: every table of lowshot's reports looks like this. Arguments as :class:`Grid` has them."""
    table = Table(
        title=Text(title, style="bold"),
        caption=Text(f"{caption}\n", style="dim") if caption else None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for column, text in enumerate(head):
        if column < names:
            table.add_column(text, overflow="fold")
        else:
            table.add_column(text, justify="right", no_wrap=True)
    above: Sequence[str | Text] = ()
    for row in rows:
        same = next((i for i, (a, b) in enumerate(zip(above, row)) if str(a) != str(b)), 0)
        cells = ["" if i < min(same, names - 1) else cell for i, cell in enumerate(row)]
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
        above = row
    return table


def in_markdown(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", names: int = 2
) -> str:
    """A table for GitHub, the title in bold. Arguments as :class:`Grid` has them; numbers are Markdown already."""
    rule = [":---" if i < names else "---:" for i in range(len(head))]
    lines = [_markdown_line(cells) for cells in (head, rule)]
    lines += [_markdown_line([escaped(cell) if i < names else cell for i, cell in enumerate(row)]) for row in rows]
    return "\n".join([f"**{title}**", "", *lines, "", caption, ""])


def _markdown_line(cells: Sequence[str]) -> str:
    """One row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def escaped(name: str) -> str:
    """A name that neither ends its table cell nor starts a tag or emphasis."""
    return "".join(f"\\{letter}" if letter in r"\|*_`<>[]" else letter for letter in " ".join(name.split()))
