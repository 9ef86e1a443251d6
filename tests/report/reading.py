"""Reads back what a report wrote: a strict HTML reader and the three forms of a table."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

from lowshot.report.scripts import scripts

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
Entries = dict[tuple[str, str, str, int], str]


class Page(HTMLParser):
    """Collects the tags, attributes and tables of a page, and fails where tags do not balance."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.tables: list[tuple[str, list[list[str]]]] = []
        self._open: list[str] = []
        self._heading = ""
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h3":
            self._heading = ""
        elif tag == "table":
            self.tables.append((self._heading.strip(), []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")

    def handle_endtag(self, tag):
        assert tag not in VOID
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data):
        self.text += data
        if "h3" in self._open:
            self._heading += data
        if {"td", "th"} & set(self._open):
            self.tables[-1][1][-1][-1] += data


def without_scripts(text: str) -> str:
    """The text of a page without the scripts of the package, each of which it must hold once, as it is."""
    for script in scripts():
        element = f"<script>{script.text}</script>"
        assert text.count(element) == 1
        text = text.replace(element, "")
    return text


def html_entries(page: Page) -> Entries:
    """{(title, representation, method, n): text} of the result tables of a page; rows repeat their representation."""
    entries: Entries = {}
    for title, (head, *rows) in page.tables:
        if head[:1] != ["Repre\u00adsen\u00adtation"]:
            continue
        columns = [int(name.removeprefix("n=")) for name in head[2:]]
        representation = ""
        for row in rows:
            if len(row) == len(head):
                representation = row.pop(0)
            method, *cells = (" ".join(cell.split()) for cell in row)
            entries.update({(title, representation, method, n): c for n, c in zip(columns, cells, strict=True)})
    return entries


def markdown_entries(text: str) -> Entries:
    entries: Entries = {}
    for block in text.split("\n**"):
        title = block.lstrip("*").split("**")[0]
        head, _, *rows = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("|")]
        columns = [int(name.removeprefix("n=")) for name in head[2:]]
        for representation, method, *cells in rows:
            for n, cell in zip(columns, cells, strict=True):
                entries[title, representation, method, n] = cell.strip("*")
    return entries


def csv_entries(text: str, titles: dict[str, str]) -> Entries:
    """As the other two; ``titles`` turns names of metrics into titles."""
    entries: Entries = {}
    for line in csv.DictReader(io.StringIO(text)):
        interval = f" ±{float(line['interval95']):.1f}" if line["interval95"] else ""
        key = (titles[line["metric"]], line["representation"], line["method"], int(line["n_shots"]))
        entries[key] = f"{float(line['mean']):.1f}{interval}"
    return entries
