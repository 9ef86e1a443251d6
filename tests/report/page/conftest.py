"""Reports in a headless Chromium, opened from their folder as a reader would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lowshot.report import Section, write_report
from lowshot.report.tables import TextTable
from tests.browser import browser  # noqa: F401  a fixture
from tests.report.conftest import make_records, report_input
from tests.report.page.reader import REPRESENTATIONS, Reader


@pytest.fixture(scope="session")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two representations with six methods, one of which was not run at n=5."""
    methods = ["Linear", "Linear + analogies", "Cosine", "Cosine + analogies", "Ridge", "Gaussian"]
    records = make_records(REPRESENTATIONS, methods, (1, 5, 20), metrics=("novel_top5", "all_top5"))
    records = [r for r in records if (r["representation"], r["method"], r["n_shots"]) != ("SGM", "Ridge", 5)]
    classes = {"data": {"base": 5, "novel": 15}}
    records = [record | classes for record in records]
    times = TextTable("Seconds", ["Class", "kind", "n=1"], [[f"class {i}", "novel", f"{i}.5"] for i in (9, 10, 2)])
    given = report_input(records=records, sections=[Section("Time", times.html())])
    return write_report(tmp_path_factory.mktemp("page"), **given)


@pytest.fixture
def read(browser: Any, page_path: Path) -> Iterator[Callable[..., Reader]]:  # noqa: F811
    """A function that opens a page, with options of the browser's context.

    When the test ends, the page must have asked nothing of any network, and must have failed nowhere.
    """
    contexts, readers = [], []

    def open_page(path: Path = page_path, **context: Any) -> Reader:
        contexts.append(browser.new_context(**{"viewport": {"width": 1300, "height": 900}, **context}))
        readers.append(Reader(contexts[-1].new_page(), path))
        return readers[-1]

    yield open_page
    for reader in readers:
        assert not reader.elsewhere
        assert not reader.errors
    for one in contexts:
        one.close()
