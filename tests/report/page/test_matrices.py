"""The matrices of differences: a cell says names, interval and p values, by finger, pointer and keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.report.page.reader import Reader

expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Read = Callable[..., Reader]


def parts(reader: Reader) -> tuple[Any, Any]:
    """The first matrix, and the line below it."""
    matrix = reader.page.locator("table.matrix").first
    return matrix, matrix.locator("xpath=ancestor::details[1]").locator("p.chosen")


def row(matrix: Any, place: int) -> Any:
    return matrix.locator("tbody tr").nth(place)


def test_a_tapped_cell_is_said_in_full(read: Read) -> None:
    reader = read(viewport={"width": 400, "height": 800}, has_touch=True)
    matrix, said = parts(reader)
    cell = row(matrix, 1).locator("td").nth(3)  # after the mean
    cell.tap()
    first, second = row(matrix, 1).locator("th").inner_text(), row(matrix, 2).locator("th").inner_text()
    words = said.inner_text()
    assert words.startswith(f"{first} minus {second}: ")
    assert cell.locator("small").inner_text() in words
    assert "p = " in words
    assert " adjusted)" in words


def test_the_arrow_keys_move_over_the_cells(read: Read) -> None:
    reader = read()
    matrix, said = parts(reader)
    matrix.locator("[tabindex]").focus()
    before = said.inner_text()
    reader.page.keyboard.press("ArrowRight")
    reader.page.keyboard.press("ArrowDown")
    assert said.inner_text() != before
    names = [row(matrix, place).locator("th").inner_text() for place in range(3)]
    assert said.inner_text().startswith(f"{names[1]} minus {names[2]}: ")
    expect(matrix.locator("[tabindex]")).to_have_count(1)
    expect(matrix.locator("[tabindex]")).to_be_focused()


def test_a_pressed_head_says_its_name(read: Read) -> None:
    matrix, said = parts(read())
    matrix.locator("thead th").nth(3).click()
    expect(said).to_have_text(f"Column {row(matrix, 1).locator('th').inner_text()}")


def test_twelve_rows_fit_a_screen_of_1300_pixels(read: Read) -> None:
    matrix, _ = parts(read())
    assert row(matrix, 11).count() == 1
    inner, outer = matrix.evaluate("table => [table.scrollWidth, table.parentElement.clientWidth]")
    assert inner <= outer


def test_intervals_are_printed(read: Read) -> None:
    reader = read()
    reader.page.emulate_media(media="print")
    matrix, said = parts(reader)
    expect(matrix.locator("small").first).to_be_visible()
    expect(said).to_be_hidden()


def test_both_accuracies_of_the_first_screen_are_whole_on_a_phone(read: Read) -> None:
    reader = read(viewport={"width": 400, "height": 800})
    tables = reader.page.locator("#best table")
    boxes = [table.bounding_box() for table in tables.all()]
    assert len(boxes) == 2
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    for table in tables.all():
        assert table.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")
