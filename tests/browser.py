"""A headless Chromium for the tests of pages, and what axe-core says of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

if os.environ.get("LOWSHOT_NEEDS_BROWSER"):
    import axe_playwright_python.sync_playwright  # noqa: F401
    import playwright.sync_api  # noqa: F401  no test is skipped for want of it

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the tests of a file. Playwright's event loop must not outlive them: other tests run their own."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        reason = f"no browser found: none of {', '.join(BROWSERS)} is on the PATH"
        if os.environ.get("LOWSHOT_NEEDS_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield started
        started.close()


def faults(page: Any) -> list[str]:
    """The serious and critical violations that axe-core finds."""
    from axe_playwright_python.sync_playwright import Axe

    response = Axe().run(page).response
    assert {"button-name", "color-contrast"} <= {one["id"] for one in [*response["passes"], *response["violations"]]}
    found = response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
