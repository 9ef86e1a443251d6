"""The documentation site: built without a warning, complete, and without anything from outside."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.test_reference import public_packages

pytest.importorskip("mkdocs", reason="the site is built by mkdocs, of the group dev")
pytest.importorskip("material", reason="the site's theme is mkdocs-material, of the group dev")

ROOT = Path(__file__).parents[1]
#: Attributes through which a page loads something by itself; `a href` only leads somewhere.
LOADING = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "object": "data"}


class _Page(HTMLParser):
    """What a page loads, where its links lead, and its anchors."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag in LOADING and LOADING[tag] in values and values.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(values[LOADING[tag]])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` builds it; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, _Page]:
    return {file: _Page(file.read_text("utf-8")) for file in site.rglob("*.html") if file.name != "404.html"}


def test_every_page_of_docs_is_in_the_site(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file(), page
    assert all((site / f"{name}.html").is_file() for name in ("index", "contributing", "changelog"))


def test_links_and_anchors_lead_somewhere(pages: dict[Path, _Page], site: Path) -> None:
    for file, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = unquote(link).partition("#")
            path = (file.parent / target).resolve() if target else file
            assert path.exists(), f"{file.relative_to(site)}: {link}"
            if anchor and path in pages:
                assert anchor in pages[path].anchors or anchor == "__skip", f"{file.relative_to(site)}: {link}"


def test_no_page_loads_anything_from_outside(pages: dict[Path, _Page], site: Path) -> None:
    for file, page in pages.items():
        for address in page.loaded:
            assert not re.match(r"(https?:)?//", address), f"{file.relative_to(site)} loads {address}"
    for style in site.rglob("*.css"):
        outside = re.findall(r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^\"')]+)", style.read_text("utf-8"))
        assert not outside, f"{style.relative_to(site)} loads {outside}"


def test_search_works_in_pages_that_are_opened_from_a_folder(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert index.startswith("var __index = {")
    assert "calibration bias" in index
    assert "unpkg.com" not in (site / "index.html").read_text("utf-8")


@pytest.mark.parametrize(("package", "names"), public_packages().items())
def test_every_public_name_has_an_entry_in_the_built_reference(
    package: str, names: list[str], pages: dict[Path, _Page]
) -> None:
    anchors = {anchor for file, page in pages.items() if file.parent.name == "reference" for anchor in page.anchors}
    for name in names:
        value = getattr(importlib.import_module(package), name)
        same = [anchor for anchor in anchors if anchor.startswith("lowshot.") and anchor.endswith(f".{name}")]
        assert any(_value(anchor) is value for anchor in same), f"{package}.{name} has no docstring"


def _value(name: str) -> object:
    package, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(package), last, None)
    except ImportError:  # a method: its class is no module
        return None


def test_long_tables_of_results_are_sortable(site: Path) -> None:
    html = (site / "results" / "cifar100-tables.html").read_text("utf-8")
    assert html.count("<table>") == 7
    assert re.search(r'src="[^"]*tablesort[^"]*\.js"', html)
    assert (site / "site" / "vendor" / "tablesort-LICENCE.txt").is_file()
