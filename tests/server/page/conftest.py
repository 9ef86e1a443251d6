"""The page in a headless Chromium, over servers in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import browser  # noqa: F401  a fixture
from tests.server.page.visitor import COLOURS, Visitor


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
            assert address.startswith("http"), address or "the server did not start; its message is above"
            return address

        yield start
        process.kill()


@pytest.fixture
def visit(
    browser: Any,  # noqa: F811
    servers: Callable[..., str],
    tmp_path: Path,
) -> Iterator[Callable[..., Visitor]]:
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
