"""Tables of the page: sorted by their heads, narrowed by words, rows hidden by name."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.report.page.reader import REPRESENTATIONS, Reader

expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Read = Callable[..., Reader]
METHOD, N1, N5 = 1, 2, 3


def numbers(texts: list[str]) -> list[float | None]:
    return [float(text.split()[0]) if text != "–" else None for text in texts]


def test_a_click_on_a_number_column_puts_the_best_first_and_another_the_worst(read: Read) -> None:
    reader = read()
    reader.head("n=1").click()
    found = numbers(reader.column(N1))
    assert found == sorted(found, reverse=True)
    assert reader.sorting() == {"n=1": "descending"}
    reader.head("n=1").click()
    assert numbers(reader.column(N1)) == sorted(found)
    assert reader.sorting() == {"n=1": "ascending"}


def test_numbers_are_sorted_as_numbers_and_rows_stay_whole(read: Read) -> None:
    reader = read()
    before = reader.rows()
    reader.head("20").click()
    assert reader.rows() != before
    assert sorted(reader.rows()) == sorted(before)
    assert all(re.fullmatch(r"[\d.]+ ±[\d.]+", text) for text in reader.column(4))


def test_what_was_not_run_stands_last_in_both_directions(read: Read) -> None:
    reader = read()
    for _ in range(2):
        reader.head("5").click()
        found = numbers(reader.column(N5))
        assert found[-1] is None
        assert None not in found[:-1]
        assert reader.rows()[-1][:2] == ["SGM", "Ridge"]


def test_names_are_sorted_from_a_to_z_first(read: Read) -> None:
    reader = read()
    reader.head("Method").click()
    assert reader.column(METHOD) == sorted(reader.column(METHOD))
    assert reader.sorting() == {"Method": "ascending"}


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_column_is_sorted_by_the_keyboard_once_a_press(read: Read, key: str) -> None:
    reader = read()
    reader.filter.focus()
    for _ in range(10):
        reader.page.keyboard.press("Tab")
        if reader.head("n=1").evaluate("button => button === document.activeElement"):
            break
    expect(reader.head("n=1")).to_be_focused()
    reader.page.keyboard.press(key)
    assert reader.sorting() == {"n=1": "descending"}
    expect(reader.head("n=1")).to_be_focused()


def test_every_row_names_its_representation_once_rows_can_move(read: Read) -> None:
    reader = read()
    assert reader.column(0) == [name for name in REPRESENTATIONS for _ in range(6)]
    reader.head("n=1").click()
    assert sorted(reader.column(0)) == [name for name in REPRESENTATIONS for _ in range(6)]


def test_words_narrow_the_rows_and_the_page_says_how_many_are_left(read: Read) -> None:
    reader = read()
    assert reader.count == "12 of 12 rows"
    reader.filter.fill("sgm COSINE")
    assert [row[:2] for row in reader.rows()] == [["SGM", "Cosine"], ["SGM", "Cosine + analogies"]]
    assert reader.count == "2 of 12 rows"
    reader.filter.fill("sgm cosine -analogies")
    assert [row[:2] for row in reader.rows()] == [["SGM", "Cosine"]]
    reader.filter.fill("no such method")
    assert reader.rows() == []
    assert reader.count == "0 of 12 rows"
    reader.filter.fill("")
    assert reader.count == "12 of 12 rows"


def test_rows_are_hidden_by_name(read: Read) -> None:
    reader = read()
    reader.article.get_by_text("Choose rows").click()
    reader.article.get_by_label("Baseline", exact=True).uncheck()
    assert set(reader.column(0)) == {"SGM"}
    methods = reader.article.get_by_role("group", name="Method")
    methods.get_by_role("button", name="None").click()
    assert reader.count == "0 of 12 rows"
    reader.article.get_by_label("Gaussian", exact=True).check()
    assert [row[:2] for row in reader.rows()] == [["SGM", "Gaussian"]]
    methods.get_by_role("button", name="All").click()
    assert reader.count == "6 of 12 rows"


def test_hidden_rows_and_their_order_come_back(read: Read) -> None:
    reader = read()
    button = reader.article.get_by_role("button", name="Show all rows")
    expect(button).to_be_disabled()
    before = reader.rows()
    reader.head("n=1").click()
    reader.filter.fill("cosine")
    reader.article.get_by_text("Choose rows").click()
    reader.article.get_by_label("SGM", exact=True).uncheck()
    assert len(reader.rows()) == 2
    button.click()
    assert reader.rows() == before
    assert reader.sorting() == {}
    expect(reader.filter).to_have_value("")
    expect(reader.article.get_by_label("SGM", exact=True)).to_be_checked()
    reader.head("n=1").click()
    assert reader.sorting() == {"n=1": "descending"}


def test_rows_that_the_table_hides_are_not_drawn(read: Read) -> None:
    reader = read()
    reader.filter.fill("sgm linear")
    drawn = {name for name, is_shown in reader.lines().items() if is_shown}
    assert drawn == {"SGM · Linear", "SGM · Linear + analogies", "Baseline · a guess", "SGM · a guess"}
    reader.filter.fill("")
    assert all(reader.lines().values())


def test_on_paper_every_row_is_there_and_no_control(read: Read) -> None:
    reader = read()
    reader.filter.fill("sgm linear")
    reader.page.emulate_media(media="print")
    assert len(reader.rows()) == 12
    expect(reader.article.locator(".controls")).to_be_hidden()
    expect(reader.article.locator(".chart")).to_be_hidden()
    expect(reader.article.locator("figure img")).to_be_visible()


def test_each_table_has_its_own_filter(read: Read) -> None:
    reader = read()
    reader.filter.fill("cosine")
    second = reader.page.locator("article").nth(1)
    expect(second.locator(".controls output")).to_have_text("12 of 12 rows")


def test_the_tables_of_sections_are_sorted_too(read: Read) -> None:
    reader = read()
    reader.table = reader.page.locator("section", has=reader.page.get_by_role("heading", name="Time")).locator("table")
    reader.head("n=1").click()
    assert reader.column(2) == ["10.5", "9.5", "2.5"]
    reader.head("Class").click()
    assert reader.column(0) == ["class 2", "class 9", "class 10"]
