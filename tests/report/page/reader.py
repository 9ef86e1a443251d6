"""A report in the browser, and what a person reads and does there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

REPRESENTATIONS = ("Baseline", "SGM")


class Reader:
    """The page of a report, and what it did: requests, errors, dialogs.

    Args:
        page (Page): The page of Playwright.
        path (Path): The file to open.
    """

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        page.on("request", lambda request: self._request(request.url, path))
        page.goto(path.as_uri())
        self.article = page.locator("article").first
        self.table = self.article.locator("table")

    def _request(self, url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith("data:image/"):
            self.elsewhere.append(url[:200])

    def rows(self) -> list[list[str]]:
        """The texts of the visible rows of the first table of results."""
        script = """table => [...table.tBodies[0].rows].filter(row => row.getClientRects().length)
            .map(row => [...row.cells].map(cell => cell.textContent.replace(/\\s+/g, " ").trim()))"""
        return self.table.evaluate(script)

    def column(self, place: int) -> list[str]:
        """One column of :meth:`rows`."""
        return [row[place] for row in self.rows()]

    def head(self, name: str) -> Any:
        """The head of a column of the first table, which is a button."""
        return self.table.get_by_role("button", name=name, exact=True)

    def sorting(self) -> dict[str, str]:
        """{head: "ascending" or "descending"} of the columns that the first table is sorted by."""
        heads = self.table.locator("th[aria-sort]")
        return {head.inner_text().strip(): head.get_attribute("aria-sort") for head in heads.all()}

    @property
    def filter(self) -> Any:
        """The field that narrows the first table."""
        return self.article.get_by_label("Filter rows")

    @property
    def count(self) -> str:
        """The number of rows that the first table shows, in words."""
        return self.article.locator(".controls output").inner_text()

    def lines(self) -> dict[str, bool]:
        """{"panel · line": True where it is drawn} of the figure of the first article."""
        script = """figure => Object.fromEntries([...figure.querySelectorAll(".panel")].flatMap(panel => {
            const chart = Chart.getChart(panel.querySelector("canvas"));
            const title = panel.querySelector(".panel-title")?.textContent ?? "";
            return chart.data.datasets.map((set, i) => [`${title} · ${set.label}`, chart.isDatasetVisible(i)]);
        }))"""
        return self.article.locator("figure").evaluate(script)

    def legend(self, name: str) -> Any:
        """A button below the figure of the first article."""
        return self.article.locator(".legend").get_by_role("button", name=name, exact=True)

    def point_at(self, line: str, point: int, panel: int = 0) -> str:
        """Move the pointer to a point of a line; what the figure then says of it."""
        canvas = self.article.locator("canvas").nth(panel)
        canvas.scroll_into_view_if_needed()
        script = """(canvas, [line, point]) => {
            const chart = Chart.getChart(canvas);
            const place = chart.data.datasets.findIndex(set => set.label === line);
            const { x, y } = chart.getDatasetMeta(place).data[point];
            return [x, y];
        }"""
        x, y = canvas.evaluate(script, [line, point])
        box = canvas.bounding_box()
        self.page.mouse.move(box["x"] + x, box["y"] + y)
        shown = """canvas => { const { opacity, title, body } = Chart.getChart(canvas).tooltip;
            return opacity ? [...title, ...body.flatMap(part => part.lines)].join("\\n") : ""; }"""
        self.page.wait_for_function("canvas => Chart.getChart(canvas).tooltip.opacity > 0", arg=canvas.element_handle())
        return canvas.evaluate(shown)
