"""The view "Check": what is mended keeps its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowshot.recogniser import Recogniser
from tests.recogniser.conftest import photo, tiny_network, write_photos
from tests.server.page.visitor import COLOURS, Visitor

expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Visit = Callable[..., Visitor]


@pytest.fixture
def mistaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recogniser with three red photos among its blue ones."""
    monkeypatch.setattr("lowshot.recogniser.embedding.load_pretrained", tiny_network)
    monkeypatch.setattr("lowshot.representation.load_pretrained", tiny_network)
    photos = write_photos(tmp_path / "photos", dict.fromkeys(COLOURS, 8))
    for number in range(3):
        photo("red", 60 + number).save(photos / "blue" / f"wrong{number}.png")
    recogniser = Recogniser.create(tmp_path / "mistaken")
    recogniser.teach(photos)
    return tmp_path / "mistaken"


def place(locator: Any) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["y"], box["height"]


def test_a_mended_finding_stays_where_it_is_and_no_other_comes_under_the_pointer(visit: Visit, mistaken: Path) -> None:
    visitor = visit(folder=mistaken).go("check")
    page = visitor.page
    rows = page.locator(".finding").filter(has_text=re.compile(r"^blue/wrong\d"))
    expect(rows).to_have_count(3)
    row = rows.first
    file = (row.locator(".finding-text").text_content() or "").split()[0]
    count = page.locator(".kind-count").first
    expect(count).to_have_text("3")
    before = [place(one) for one in rows.all()]
    row.get_by_role("button", name="Move to red").click()
    done = page.locator(".finding.done")
    expect(done).to_contain_text(f"{file}: Move to red, done.")
    expect(count).to_have_text("2")
    expect(done).to_be_focused()
    assert done.get_by_role("button").count() == 0
    assert [place(one) for one in rows.all()] == before
    assert page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).closest('.finding').matches('.done')", middle(done)
    )
    assert done.locator("img").evaluate("async (image) => (await image.decode(), image.naturalWidth > 0)")
    page.keyboard.press("Tab")
    expect(rows.nth(1).locator("a, button").first).to_be_focused()


def middle(locator: Any) -> list[float]:
    box = locator.bounding_box()
    return [box["x"] + box["width"] - 60, box["y"] + box["height"] / 2]


def test_a_mended_finding_is_open_again_when_that_is_undone_and_leaves_with_the_view(
    visit: Visit, mistaken: Path
) -> None:
    visitor = visit(folder=mistaken).go("check")
    page = visitor.page
    rows = page.locator(".finding").filter(has_text=re.compile(r"^blue/wrong\d"))
    rows.first.get_by_role("button", name="Forget the photo").click()
    expect(page.locator(".finding.done")).to_have_count(1)
    expect(page.locator(".kind-count").first).to_have_text("2")
    expect(page.locator(".finding.done")).to_have_count(1)
    visitor.button("Undo", ".toast").click()
    expect(page.locator(".finding.done")).to_have_count(0)
    expect(rows.first.get_by_role("button", name="Forget the photo")).to_be_visible()
    rows.first.get_by_role("button", name="Forget the photo").click()
    expect(page.locator(".finding.done")).to_have_count(1)
    page.get_by_role("link", name="Classes", exact=True).click()
    page.get_by_role("link", name="Check", exact=True).click()
    expect(rows).to_have_count(2)
    expect(page.locator(".finding.done")).to_have_count(0)


def test_the_rest_of_a_group_comes_last_and_not_under_the_pointer(visit: Visit, mistaken: Path) -> None:
    visitor = visit(folder=mistaken).go("check")
    page = visitor.page
    forget = page.get_by_role("button", name=re.compile(r"^Forget \d\d\.png$"))
    expect(forget).to_have_count(2)
    first, second = (re.sub("^Forget ", "", text) for text in forget.all_text_contents())
    forget.first.click()
    done = page.locator(".finding.done")
    expect(done).to_contain_text(f"Forget {first}, done.")
    expect(forget).to_have_count(2)  # of the other group, and after it of the rest of this one
    assert forget.first.text_content() == f"Forget {second}"
    assert place(forget.first)[0] > place(done)[0]


def test_findings_of_many_photos_are_no_wider_than_a_phone(visit: Visit, mistaken: Path) -> None:
    page = visit(folder=mistaken, context={"viewport": {"width": 360, "height": 740}}).go("check").page
    expect(page.locator(".finding-pictures").filter(has=page.locator("img:nth-child(6)")).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
