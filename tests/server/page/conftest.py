"""The page in a headless Chromium, over servers in a process of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.page.visitor import COLOURS, Visitor

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


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[..., str]]:
    """A function that starts a server with these settings, and returns its address."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.server.page.tiny_servers"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def start(folder: Path, **settings: Any) -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps({"folder": str(folder), **settings}) + "\n")
            process.stdin.flush()
            address = process.stdout.readline().strip()
            assert address.startswith("http"), address or "the server did not start; its message stands above"
            return address

        yield start
        process.kill()


@pytest.fixture
def visit(browser: Any, servers: Callable[..., str], tmp_path: Path) -> Iterator[Callable[..., Visitor]]:
    """A function that serves a recogniser and opens its page.

    It takes the settings of the server, and ``context``: the options of the browser's context. When the test ends, the
    page must have asked no other server for anything, and must have failed nowhere.
    """
    contexts, visitors = [], []

    def open_page(
        address: str | None = None,
        context: dict[str, Any] | None = None,
        folder: Path = tmp_path / "colours",
        colours: dict[str, int] | None = COLOURS,
        **settings: Any,
    ) -> Visitor:
        address = address or servers(folder, colours=colours, **settings)
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **(context or {})}))
        visitors.append(Visitor(contexts[-1].new_page(), address))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        assert not visitor.elsewhere
        assert not visitor.errors
    for one in contexts:
        one.close()
