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
        drawn = Table(
            title=Text(self.title, style="bold"),
            caption=Text(f"{self.caption}\n", style="dim"),
            title_justify="left",
            caption_justify="left",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            collapse_padding=True,
        )
        for column, head in enumerate(self.head):
            if column < self.names:
                drawn.add_column(head, overflow="fold")
            else:
                drawn.add_column(head, justify="right", no_wrap=True)
        above: Sequence[str] = ()
        for row in self.rows:
            same = next((i for i, (a, b) in enumerate(zip(above, row)) if a != b), 0)
            drawn.add_row(*(Text("" if i < min(same, self.names - 1) else cell) for i, cell in enumerate(row)))
            above = row
        return drawn

    def markdown(self) -> str:
        """For GitHub, the title in bold."""
        rule = [":---" if i < self.names else "---:" for i in range(len(self.head))]
        lines = [markdown_line(cells) for cells in (self.head, rule)]
        lines += [
            markdown_line([escaped(cell) if i < self.names else cell for i, cell in enumerate(row)])
            for row in self.rows
        ]
        return "\n".join([f"**{self.title}**", "", *lines, "", self.caption, ""])

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


def markdown_line(cells: Sequence[str]) -> str:
    """One row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def escaped(name: str) -> str:
    """A name that neither ends its table cell nor starts a tag or emphasis."""
    return "".join(f"\\{letter}" if letter in r"\|*_`<>[]" else letter for letter in " ".join(name.split()))
