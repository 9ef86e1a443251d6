"""Makes the pictures of serving.md: `lowshot serve` on the demo's recogniser, in a headless Chromium.

    python docs/screenshots.py

needs the packages of the development group and Debian's chromium (or another Chromium or Chrome on the PATH), and draws
every photo that it shows.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect, sync_playwright

from lowshot.pipeline.demo_pictures import write_pictures
from lowshot.pipeline.recogniser_demo import demonstrate

PICTURES = Path(__file__).parent / "pictures"
LARGEST = 150_000
DESKTOP: dict[str, Any] = {"viewport": {"width": 1300, "height": 960}}
TABLET: dict[str, Any] = {"viewport": {"width": 768, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lowshot-") as temporary:
        folder = Path(temporary)
        recogniser = demonstrate(folder)
        known = sorted(
            write_pictures(folder / "asked", ["psi", "zhe", "omega", "lao", "two"], 2, first=20).rglob("*.png")
        )
        unknown = sorted((write_pictures(folder / "unknown", ["xi"], 6, first=20) / "xi").iterdir())
        with served(recogniser.folder) as address, chromium() as browser:

            def page(view: str, size: dict[str, Any], theme: str) -> Page:
                opened: Page = browser.new_context(**size, color_scheme=theme).new_page()
                opened.goto(f"{address}#{view}")
                opened.locator("main > div").wait_for()
                return opened

            answered = page("ask", DESKTOP, "light")
            ask(answered, [*known[6:8], *known[:6], *unknown[:2], *known[8:]])
            save(answered, "answer")

            doubtful = page("ask", DESKTOP, "dark")
            ask(doubtful, [landscape(folder / "landscape.png")])
            save(doubtful, "unknown")

            save(page("classes", DESKTOP, "light"), "classes")

            phone = page("ask", PHONE, "dark")
            ask(phone, known[:1])
            save(phone, "phone")

            recogniser.teach({"psi": known[2:3]})  # an omega: a wrong label
            checked = page("check", TABLET, "light")
            checked.locator(".finding").first.wait_for()
            save(checked, "check")


def landscape(path: Path) -> Path:
    """Draw hills under a low sun, which no sign is like."""
    sky = Image.linear_gradient("L").resize((640, 480))
    image = Image.merge(
        "RGB",
        [
            sky.point([int(end + (start - end) * i / 255) for i in range(256)])
            for start, end in ((250, 70), (176, 110), (120, 190))
        ],
    )
    draw = ImageDraw.Draw(image)
    draw.ellipse((400, 190, 500, 290), fill=(255, 236, 190))
    for height, colour in ((290, (112, 116, 150)), (340, (70, 86, 112)), (400, (36, 52, 66))):
        for left in range(-200, 640, 230):
            shift = left + height % 170
            draw.polygon([(shift, 480), (shift + 190, height - 40), (shift + 400, 480)], fill=colour)
        draw.rectangle((0, height + 50, 640, 480), fill=colour)
    image.save(path)
    return path


def ask(page: Page, photos: list[Path]) -> None:
    """Choose photos, and wait for the answers."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose photos").click()
    chooser.value.set_files(photos)
    expect(page.locator(".tile[data-mood=waiting]")).to_have_count(0, timeout=60_000)
    page.locator(".answer[data-mood=known], .answer[data-mood=unknown]").wait_for()


def save(page: Page, name: str) -> None:
    """Write what the window shows as WebP."""
    page.wait_for_load_state("networkidle")
    page.mouse.move(0, 0)
    page.wait_for_timeout(600)  # bars grow and pictures are decoded for a moment
    taken = Image.open(io.BytesIO(page.screenshot()))
    target = PICTURES / f"serving-{name}.webp"
    taken.convert("RGB").save(target, quality=82, method=6)
    assert target.stat().st_size < LARGEST, f"{target} has {target.stat().st_size} bytes"
    print(target, target.stat().st_size)
    page.context.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of the recogniser."""
    command = [sys.executable, "-m", "lowshot", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().split(" is served at ")[1].split()[0]
        finally:
            server.terminate()


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


if __name__ == "__main__":
    main()
