"""Undoing on the page: what it asks, what it takes back, and what it refuses to take back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from lowshot.recogniser import folder
from tests.recogniser.conftest import photo, write_photos
from tests.server.page.visitor import Visitor

expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Visit = Callable[..., Visitor]
ALL = "3 classes · 12 photos"


def teach(visitor: Visitor, name: str, paths: list[Path]) -> int:
    """Teach photos as another client does; returns the state."""
    files = [("photos", (path.name, path.read_bytes(), "image/png")) for path in paths]
    known = name in {one["name"] for one in httpx.get(f"{visitor.address}classes").json()["classes"]}
    where, data = (f"classes/{name}/photos", {}) if known else ("classes", {"name": name})
    reply = httpx.post(f"{visitor.address}{where}", files=files, data=data)
    assert reply.status_code == 201, reply.text
    return int(reply.json()["state"])


def greys(tmp_path: Path, number: int) -> list[Path]:
    return sorted((write_photos(tmp_path / "more", {"grey": number}) / "grey").iterdir())


def reds(tmp_path: Path, number: int) -> list[Path]:
    return sorted((write_photos(tmp_path / "more", {"red": number}, first=40) / "red").iterdir())


def test_an_undo_that_would_forget_classes_asks_first_and_says_what_is_lost(visit: Visit) -> None:
    visitor = visit().go("classes")
    page = visitor.page
    for begin in (visitor.button("Undo:", ".top").click, lambda: page.keyboard.press("Control+z")):
        page.wait_for_timeout(1500)  # clicks and keys that follow each other at once count as one
        begin()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Taught 12 photos: ", timeout=20_000)
        expect(dialog).to_contain_text("forgets 12 photos and the classes “blue”, “green” and “red”.")
        expect(dialog).to_contain_text("cannot be undone")
        dialog.get_by_role("button", name="Keep").click()
        expect(dialog).to_have_count(0)
        expect(page.locator("#counts")).to_have_text(ALL)
    visitor.button("Undo:", ".top").click()
    visitor.button("Undo it", "dialog").click()
    expect(page.locator(".toast")).to_contain_text("Undone: taught 12 photos")
    expect(page.locator("#counts")).to_have_text("0 classes")


def test_few_photos_of_a_class_that_stays_are_forgotten_without_a_question_more_are_not(
    visit: Visit, tmp_path: Path
) -> None:
    visitor = visit().go("classes")
    page = visitor.page
    teach(visitor, "red", reds(tmp_path, 3))
    page.reload()
    expect(page.locator("#counts")).to_have_text("3 classes · 15 photos")
    page.keyboard.press("Control+z")
    expect(page.locator(".toast")).to_contain_text("Undone: taught 3 photos: red (3)")
    expect(page.locator("#counts")).to_have_text(ALL)
    teach(visitor, "red", reds(tmp_path, 4))
    page.reload()
    expect(page.locator("#counts")).to_have_text("3 classes · 16 photos")
    page.keyboard.press("Control+z")
    expect(page.get_by_role("dialog")).to_contain_text("forgets 4 photos.")


def test_a_key_that_is_held_undoes_one_change(visit: Visit, tmp_path: Path) -> None:
    visitor = visit().go("classes")
    page = visitor.page
    for path in reds(tmp_path, 3):
        teach(visitor, "red", [path])
    page.reload()
    expect(page.locator("#counts")).to_have_text("3 classes · 15 photos")
    page.keyboard.down("Control")
    for _ in range(10):
        page.keyboard.down("z")  # without the key being released: a repetition
    page.keyboard.up("z")
    page.keyboard.up("Control")
    expect(page.locator(".toast")).to_contain_text("Undone")
    expect(page.locator("#counts")).to_have_text("3 classes · 14 photos")
    page.wait_for_timeout(1000)
    expect(page.locator("#counts")).to_have_text("3 classes · 14 photos")


def test_a_double_click_and_a_held_key_on_the_button_undo_one_change(visit: Visit, tmp_path: Path) -> None:
    visitor = visit().go("classes")
    page = visitor.page
    for path in reds(tmp_path, 3):
        teach(visitor, "red", [path])
    page.reload()
    expect(page.locator("#counts")).to_have_text("3 classes · 15 photos")
    visitor.button("Undo:", ".top").dblclick()
    expect(page.locator("#counts")).to_have_text("3 classes · 14 photos")
    page.wait_for_timeout(600)
    visitor.button("Undo:", ".top").focus()
    for _ in range(10):
        page.keyboard.down("Enter")
        page.wait_for_timeout(100)
    page.keyboard.up("Enter")
    expect(page.locator("#counts")).to_have_text("3 classes · 13 photos")
    page.wait_for_timeout(600)
    expect(page.locator("#counts")).to_have_text("3 classes · 13 photos")


def test_the_undo_of_a_message_takes_back_no_change_of_others(visit: Visit, tmp_path: Path) -> None:
    visitor = visit().go("classes")
    page = visitor.page
    visitor.drop([*greys(tmp_path, 1)], on=".view-head")
    page.get_by_label("Name", exact=True).fill("grey")
    visitor.button("Teach 1 photo").click()
    undo = visitor.button("Undo", ".toast")
    undo.wait_for()
    teach(visitor, "red", reds(tmp_path, 1))
    undo.click()
    expect(page.locator(".toast.bad")).to_contain_text("Nothing was undone: something else was changed since.")
    expect(page.locator(".toast.bad")).to_contain_text("The last change is now: taught 1 photos: red (1).")
    expect(page.locator("#counts")).to_have_text("4 classes · 14 photos")


def test_the_question_means_the_change_that_it_shows(visit: Visit, tmp_path: Path) -> None:
    visitor = visit().go("classes")
    visitor.button("Undo:", ".top").click()
    teach(visitor, "red", reds(tmp_path, 1))
    visitor.button("Undo it", "dialog").click()
    expect(visitor.page.locator(".toast.bad")).to_contain_text("something else was changed since")
    expect(visitor.page.locator("#counts")).to_have_text("3 classes · 13 photos")


SMALL_PARTS = ("const PHOTOS = 400;", "const PHOTOS = 2;")


@pytest.fixture
def in_small_parts(visit: Visit) -> Visitor:
    """A page that sends two photos a part."""
    visitor = visit()

    def smaller(route: Any) -> None:
        reply = route.fetch()
        assert SMALL_PARTS[0] in reply.text()
        route.fulfill(response=reply, body=reply.text().replace(*SMALL_PARTS))

    visitor.page.route("**/parts.js", smaller)
    return visitor.go("classes")


def import_folder(visitor: Visitor, tmp_path: Path, number: int) -> None:
    visitor.drop([write_photos(tmp_path / "folder", {"grey": number}, first=20)], on=".view-head")


def test_photos_that_are_sent_in_parts_are_undone_together(in_small_parts: Visitor, tmp_path: Path) -> None:
    visitor, page = in_small_parts, in_small_parts.page
    import_folder(visitor, tmp_path, 5)
    assert "can be undone" not in (page.get_by_role("dialog").text_content() or "")
    visitor.button("Teach 5 photos of 1 class").click()
    expect(page.locator(".toast")).to_contain_text("Taught 5 photos to grey.")
    visitor.button("Undo", ".toast").click()
    expect(page.get_by_role("dialog")).to_contain_text("forgets 5 photos.")
    visitor.button("Undo it", "dialog").click()
    expect(page.locator("#counts")).to_have_text(ALL)


def test_more_parts_than_can_be_undone_are_told_of_before_and_offer_no_undo_of_all(
    in_small_parts: Visitor, tmp_path: Path
) -> None:
    visitor, page = in_small_parts, in_small_parts.page
    assert page.evaluate("import('/page/app/parts.js').then((module) => module.UNDOABLE)") == folder.UNDOABLE
    import_folder(visitor, tmp_path, 22)
    expect(page.get_by_role("dialog")).to_contain_text("taught in 11 changes, of which the last 10 can be undone")
    visitor.button("Teach 22 photos of 1 class").click()
    expect(page.locator(".toast")).to_contain_text("That took 11 changes", timeout=30_000)
    assert visitor.button("Undo", ".toast").count() == 0


def test_the_dialog_of_a_class_tells_of_too_many_parts_as_well(in_small_parts: Visitor, tmp_path: Path) -> None:
    visitor = in_small_parts
    visitor.drop(greys(tmp_path, 21), on=".view-head")
    expect(visitor.page.get_by_role("dialog")).to_contain_text("taught in 11 changes, of which the last 10")


def test_a_change_of_others_between_two_parts_is_not_undone_with_them(in_small_parts: Visitor, tmp_path: Path) -> None:
    visitor, page = in_small_parts, in_small_parts.page
    parts = 0

    def between(route: Any) -> None:
        nonlocal parts
        parts += route.request.method == "POST"
        if parts == 2:
            parts += 1
            teach(visitor, "red", reds(tmp_path, 1))
        route.continue_()

    page.route("**/classes**", between)
    import_folder(visitor, tmp_path, 4)
    visitor.button("Teach 4 photos of 1 class").click()
    expect(page.locator(".toast")).to_contain_text("Something else was changed meanwhile")
    assert visitor.button("Undo", ".toast").count() == 0
    expect(page.locator("#counts")).to_have_text("4 classes · 17 photos")


def test_the_page_of_a_class_follows_its_name_when_a_renaming_is_undone(visit: Visit) -> None:
    visitor = visit().go("classes/red")
    page = visitor.page
    expect(page.locator(".photo")).to_have_count(4)
    visitor.button("Rename").click()
    page.keyboard.type("crimson")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="crimson")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("heading", name="red")).to_be_visible()
    expect(page.locator(".photo")).to_have_count(4)
    expect(page.locator(".toast")).to_contain_text("Undone: renamed red to crimson")
    assert page.url.endswith("#classes/red")


def test_what_an_undo_loses_is_read_from_the_words_of_the_server(visit: Visit) -> None:
    page = visit().go().page
    script = """async ([change, known]) => (await import("/page/app/losses.js")).losses(change, known)"""

    def losses(change: str | None, **known: int) -> dict[str, object]:
        classes = [{"name": name, "photos": photos, "base": name == "base"} for name, photos in known.items()]
        found: dict[str, object] = page.evaluate(script, [change, classes])
        return found

    nothing = {"photos": 0, "classes": []}
    assert losses("taught 3 photos: a (2), b (1)", a=2, b=4) == {"photos": 3, "classes": ["a"]}
    assert losses("taught 2 photos: aa (2)", a=2, aa=5) == {"photos": 2, "classes": []}
    assert losses("taught 2 photos: base (2)", base=2) == {"photos": 2, "classes": []}
    assert losses("removed taught 3 photos: a (3)", a=3) == nothing
    assert losses("renamed a to b", b=3) == nothing
    assert losses(None, a=1) == nothing


def test_one_photo_is_taught_and_undone_by_two_clicks(visit: Visit, tmp_path: Path) -> None:
    visitor = visit().go()
    path = tmp_path / "question.png"
    photo("red", 50).save(path)
    visitor.choose("Choose photos", path)
    visitor.button("Right, teach it as red").click()
    visitor.button("Undo", ".toast").click()
    expect(visitor.page.locator(".toast")).to_contain_text("Undone: taught 1 photos: red (1)")
    expect(visitor.page.locator("#counts")).to_have_text(ALL)
