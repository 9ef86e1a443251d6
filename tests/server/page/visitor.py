"""A page in the browser, and what a person does on it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

COLOURS = {"red": 4, "green": 4, "blue": 4}
TIMEOUT = 15_000


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
