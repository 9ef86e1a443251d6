"""The page by axe-core, by keyboard alone, and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser import faults
from tests.recogniser.conftest import photo
from tests.server.page.visitor import COLOURS, Visitor

pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Visit = Callable[..., Visitor]
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def address(servers: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A server for all tests of this file; they change nothing."""
    return servers(tmp_path_factory.mktemp("served") / "colours", colours={**COLOURS, "grey": 1})


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("questions")
    (folder / "broken.png").write_bytes(b"no picture")
    for name in ("red", "blue"):
        photo(name, 70).save(folder / f"{name}.png")
    return sorted(folder.iterdir())


def asked(visitor: Visitor, questions: list[Path]) -> None:
    visitor.go("ask").choose("Choose photos", questions)
    expect(visitor.page.locator(".tile[data-mood=waiting]")).to_have_count(0)


def shown_question(visitor: Visitor, questions: list[Path]) -> None:
    asked(visitor, questions)
    visitor.page.get_by_role("button", name="red.png").last.click()


def chooser(visitor: Visitor, questions: list[Path]) -> None:
    shown_question(visitor, questions)
    visitor.button("his is …", ".acts").click()


def new_class(visitor: Visitor, questions: list[Path]) -> None:
    visitor.go("classes").button("New class", ".view-head").click()
    visitor.choose("Choose photos", questions, "dialog")


def one_class(visitor: Visitor, questions: list[Path]) -> None:
    visitor.go("classes/red").page.locator(".photo").first.wait_for()


def rename(visitor: Visitor, questions: list[Path]) -> None:
    one_class(visitor, questions)
    visitor.button("Rename").click()


def check(visitor: Visitor, questions: list[Path]) -> None:
    visitor.go("check").page.locator(".finding").first.wait_for()


def live(visitor: Visitor, questions: list[Path]) -> None:
    visitor.go("ask").button("Live camera").click()
    expect(visitor.page.locator(".rate")).to_contain_text("answers a second")


VIEWS: dict[str, Callable[[Visitor, list[Path]], Any]] = {
    "ask": lambda visitor, questions: visitor.go("ask"),
    "answers": asked,
    "an answer": shown_question,
    "this is": chooser,
    "live": live,
    "classes": lambda visitor, questions: visitor.go("classes"),
    "new class": new_class,
    "class": one_class,
    "rename": rename,
    "check": check,
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_any_view(visit: Visit, address: str, questions: list[Path], theme: str) -> None:
    found = {}
    visitor = visit(address, {"color_scheme": theme, "reduced_motion": "reduce"})
    for name, open_view in VIEWS.items():
        visitor.page.goto("about:blank")
        open_view(visitor, questions)
        found[name] = faults(visitor.page)
    assert not any(found.values()), found


def test_no_view_is_wider_than_a_phone(visit: Visit, address: str, questions: list[Path]) -> None:
    visitor = visit(address, PHONE)
    for name, open_view in VIEWS.items():
        visitor.page.goto("about:blank")
        open_view(visitor, questions)
        width = visitor.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, f"{name} is {width} pixels wide"


def test_a_photo_is_asked_and_corrected_by_the_keyboard_alone(
    visit: Visit, address: str, questions: list[Path]
) -> None:
    visitor = visit(address).go("ask")
    page = visitor.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(visitor.button("Choose photos")).to_be_focused()
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Enter")
    chosen.value.set_files(questions)
    expect(page.locator(".tile[data-mood=waiting]")).to_have_count(0)
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tile").nth(2)).to_be_focused()
    expect(page.locator(".tile").nth(2)).to_have_attribute("aria-pressed", "true")
    correct = visitor.button("his is …", ".acts")
    correct.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(correct).to_be_focused()
