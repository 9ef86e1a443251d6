"""The page in a headless Chromium, over servers in a process of their own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the tests of the page need playwright")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
COLOURS = {"red": 4, "green": 4, "blue": 4}
TIMEOUT = 15_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the tests of a file. Playwright's event loop must not outlive them: other tests run their own."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        reason = f"no browser found: none of {', '.join(BROWSERS)} is on the PATH"
        if os.environ.get("LOWSHOT_NEEDS_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[..., str]]:
    """A function that starts a server with these settings, and returns its address."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.server.tiny_servers"]
    root = Path(__file__).parents[2]
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


class Visitor:
    """A page of the browser, and what it did: requests, errors.

    Args:
        page (Page): The page of Playwright.
        address (str): The address of the server.
    """

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.set_default_timeout(TIMEOUT)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)
        page.on("request", self._request)
        page.on("filechooser", lambda chooser: None)  # from the start: a key is quicker than the listening for one

    def _console(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _request(self, request: Any) -> None:
        target = urlsplit(request.url)
        if target.scheme not in ("blob", "data") and target.netloc != urlsplit(self.address).netloc:
            self.elsewhere.append(request.url)

    def go(self, view: str = "ask") -> Visitor:
        """Open a view, by its address."""
        self.page.goto(f"{self.address}#{view}")
        self.page.locator("main > div").wait_for()
        return self

    def button(self, name: str, within: str = "body") -> Any:
        """The button of this name."""
        return self.page.locator(within).get_by_role("button", name=name)

    def choose(self, name: str, files: Any, within: str = "body") -> None:
        """Choose files by a button."""
        with self.page.expect_file_chooser() as chooser:
            self.button(name, within).click()
        chooser.value.set_files(files)

    def drop(self, paths: list[Path], on: str = "main") -> None:
        """Drop files or folders, as a file manager would."""
        box = self.page.locator(on).first.bounding_box()
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + min(box["height"] / 2, 200)}
        session = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})

    def paste(self, path: Path) -> None:
        """Paste a picture."""
        script = """([name, data]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type: "image/png" }));
            const event = new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
        }"""
        self.page.evaluate(script, [path.name, base64.b64encode(path.read_bytes()).decode()])

    def classes(self) -> dict[str, str]:
        """The classes on the wall, with what is said of their photos."""
        cards = self.page.locator("a.card, div.card")
        names = cards.locator("strong").all_text_contents()
        return dict(zip(names, cards.locator(".small").all_text_contents()))


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
