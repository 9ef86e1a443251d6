"""The page in a browser: asking, teaching, correcting."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.recogniser.answers import COLUMNS
from tests.recogniser.conftest import photo, write_photos
from tests.server.page.visitor import COLOURS, Visitor

expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Visit = Callable[..., Visitor]


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A photo of a known class that was not taught."""
    path = tmp_path / "question.png"
    photo("red", 50).save(path)
    return path


@pytest.fixture
def grey(tmp_path: Path) -> list[Path]:
    """Photos of an unknown class."""
    return sorted((write_photos(tmp_path / "more", {"grey": 3}) / "grey").iterdir())


def verdict(visitor: Visitor, text: str) -> None:
    expect(visitor.page.locator(".verdict:visible")).to_have_text(text)


def test_a_dropped_photo_is_answered_with_bars_and_the_nearest_taught_photos(visit: Visit, red: Path) -> None:
    visitor = visit().go()
    visitor.drop([red])
    verdict(visitor, "red")
    page = visitor.page
    assert page.locator(".bars li:visible").count() == 3
    assert page.locator(".bars li .name").first.text_content() == "red"
    expect(page.locator(".neighbours li")).to_have_count(6)
    assert page.locator(".neighbours .name").first.text_content() == "red"
    expect(page.get_by_role("status").filter(has_text="This is red")).to_have_count(1)
    for picture in page.locator(".neighbours img").all():
        assert picture.evaluate("async (image) => (await image.decode(), image.naturalWidth > 0)")


def test_a_pasted_photo_is_answered(visit: Visit, red: Path) -> None:
    visitor = visit().go()
    visitor.paste(red)
    verdict(visitor, "red")


def test_several_photos_are_answered_and_one_of_them_cannot_be_read(visit: Visit, red: Path, grey: list[Path]) -> None:
    broken = red.with_name("broken.png")
    broken.write_bytes(b"no picture")
    visitor = visit().go()
    visitor.choose("Choose photos", [red, broken, *grey])
    page = visitor.page
    expect(page.locator(".tile[data-mood=waiting]")).to_have_count(0)
    assert page.locator(".tile").count() == 5
    assert page.locator(".tile[data-mood=failed]").count() == 1
    page.get_by_role("button", name="broken.png").click()
    expect(page.locator(".answer")).to_contain_text("broken.png")
    page.keyboard.press("ArrowLeft")
    verdict(visitor, "red")
    with page.expect_download() as download:
        visitor.button("Answers as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert list(rows[0]) == list(COLUMNS)
    assert {row["file"] for row in rows} == {"question.png", "broken.png", "00.png", "01.png", "02.png"}
    with page.expect_download() as download:
        visitor.button("Answers as JSON").click()
    answers = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert [list(answer) for answer in answers] == [list(COLUMNS)] * 5
    assert sum(answer["error"] is not None for answer in answers) == 1


def test_a_corrected_answer_is_a_new_class_that_is_known_a_moment_later(visit: Visit, grey: list[Path]) -> None:
    visitor = visit().go()
    visitor.choose("Choose photos", grey[0])
    page = visitor.page
    visitor.button("his is …", ".acts").click()
    page.keyboard.type("grey")
    page.keyboard.press("Enter")
    verdict(visitor, "grey")
    expect(page.locator("#counts")).to_have_text("4 classes · 13 photos")
    visitor.button("Undo", ".toast").click()
    expect(page.locator("#counts")).to_have_text("3 classes · 12 photos")


def test_a_right_answer_is_taught_by_one_click(visit: Visit, red: Path) -> None:
    visitor = visit().go()
    visitor.choose("Choose photos", red)
    visitor.button("Right, teach it as red").click()
    expect(visitor.page.locator(".toast")).to_contain_text("Taught 1 photo to red.")
    expect(visitor.page.locator("#counts")).to_have_text("3 classes · 13 photos")


def test_the_camera_gives_a_steady_answer_and_a_photo(visit: Visit) -> None:
    visitor = visit().go()
    page = visitor.page
    visitor.button("Live camera").click()
    expect(page.locator(".rate")).to_contain_text("answers a second")
    expect(page.locator(".answer[data-mood=known], .answer[data-mood=unknown]")).to_be_visible()
    visitor.button("Keep this picture").click()
    expect(page.locator(".stage img")).to_be_visible()
    expect(page.locator("video")).to_have_count(0)
    expect(page.locator(".caption .name")).to_contain_text("camera-")


def test_frames_are_averaged_and_a_class_stays_until_another_is_clearly_ahead(visit: Visit) -> None:
    visitor = visit().go()
    script = """async (frames) => {
        const { Steady } = await import("/page/app/steady.js");
        const steady = new Steady();
        return frames.map(([share, unknown], i) => {
            const top = [{ class: "a", probability: share }, { class: "b", probability: 1 - share }];
            const { class: name, unknown: isUnknown } = steady.add({ top, unknown }, 100 * i);
            return isUnknown ? null : name;
        });
    }"""
    flicker = [[0.9, False], *[[0.45 + 0.1 * (i % 2), i % 3 == 0] for i in range(30)]]
    assert set(visitor.page.evaluate(script, flicker)) == {"a"}
    change = [[0.9, False]] * 10 + [[0.1, False]] * 15
    shown = visitor.page.evaluate(script, change)
    assert shown == sorted(shown)
    assert (shown[10], shown[-1]) == ("a", "b")
    doubt = visitor.page.evaluate(script, [[0.9, False]] * 5 + [[0.9, True]] * 15)
    assert (doubt[5], doubt[-1]) == ("a", None)


def test_a_class_is_added_renamed_removed_undone_and_still_there_after_a_reload(visit: Visit, grey: list[Path]) -> None:
    visitor = visit().go("classes")
    page = visitor.page
    visitor.button("New class", ".view-head").click()
    page.get_by_label("Name", exact=True).fill("grey")
    visitor.choose("Choose photos", grey, "dialog")
    visitor.button("Teach 3 photos").click()
    card = page.get_by_role("link", name="grey")
    expect(card).to_contain_text("3 photos")
    card.click()
    expect(page.locator(".photo")).to_have_count(3)
    visitor.button("Rename").click()
    page.keyboard.type("a/b")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="slash")).to_be_visible()
    page.get_by_label("New name of the class").fill("ash & <b>grey")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ash & <b>grey")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="ash & <b>grey")).to_be_visible()
    page.locator(".photo").first.hover()
    visitor.button("Remove 00.png").click()
    expect(page.locator(".photo")).to_have_count(2)
    visitor.button("Remove", ".view-head").click()
    visitor.button("Remove the class", "dialog").click()
    expect(page.locator(".wall")).to_be_visible()
    expect(page.locator("a.card")).to_have_count(3)
    page.keyboard.press("Control+z")
    expect(page.locator("a.card")).to_have_count(4)
    visitor.button("Undo", ".toasts").or_(visitor.button("Undo:", ".top")).first.click()
    expect(page.get_by_role("link", name="ash")).to_contain_text("3 photos")
    page.reload()
    expect(page.get_by_role("link", name="ash")).to_contain_text("3 photos")


def test_a_photo_is_moved_to_another_class(visit: Visit) -> None:
    visitor = visit().go("classes/red")
    page = visitor.page
    page.locator(".photo").first.hover()
    visitor.button("Move 00.png").first.click()
    page.keyboard.type("bl")
    page.keyboard.press("Enter")
    expect(page.locator(".photo")).to_have_count(3)
    visitor.go("classes")
    assert visitor.classes() == {"red": "3 photos", "green": "4 photos", "blue": "5 photos"}


def test_a_folder_of_class_folders_is_previewed_and_taught_in_one_change(visit: Visit, tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "folder", {"grey": 3, "brown": 2, "red": 2}, first=20)
    (folder / "red" / "notes.txt").write_text("no photo")
    visitor = visit().go("classes")
    page = visitor.page
    visitor.drop([folder], on=".view-head")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 classes in this folder")
    expect(dialog).to_contain_text("Left out: 1 file that is no photo.")
    dialog.get_by_role("checkbox", name="brown").uncheck()
    dialog.get_by_role("button", name="Teach 5 photos of 2 classes").click()
    expect(page.locator("#counts")).to_have_text("4 classes · 17 photos")
    visitor.button("Undo:", ".top").click()
    visitor.button("Undo it", "dialog").click()
    expect(page.locator("#counts")).to_have_text("3 classes · 12 photos")


def test_damaged_photos_are_named_and_can_be_left_out_and_known_ones_are_reported(
    visit: Visit, tmp_path: Path, grey: list[Path]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    visitor = visit().go("classes")
    page = visitor.page
    visitor.drop([*grey, broken], on=".view-head")
    page.get_by_label("Name", exact=True).fill("grey")
    visitor.button("Teach 4 photos").click()
    dialog = page.get_by_role("dialog").filter(has_text="cannot be read")
    expect(dialog).to_contain_text("broken.png")
    dialog.get_by_role("button", name="Leave out 1, teach 3").click()
    expect(page.locator("#counts")).to_have_text("4 classes · 15 photos")
    dialog = page.get_by_role("dialog").filter(has_text="Taught 3 photos")
    expect(dialog).to_contain_text("broken.png")
    dialog.get_by_role("button", name="Good").click()
    visitor.drop([grey[0]], on="a.card >> text=grey")
    visitor.button("Teach 1 photo").click()
    expect(page.locator(".toast")).to_contain_text("Nothing was taught")
    expect(page.locator(".toast")).to_contain_text("00.png")


def test_teaching_that_takes_long_shows_progress_and_can_be_cancelled(visit: Visit, grey: list[Path]) -> None:
    visitor = visit().go("classes")
    page = visitor.page
    page.route("**/classes", lambda route: None if route.request.method == "POST" else route.continue_())
    visitor.drop(grey, on=".view-head")
    page.get_by_label("Name", exact=True).fill("grey")
    visitor.button("Teach 3 photos").click()
    dialog = page.get_by_role("dialog").filter(has_text="Teaching 3 photos")
    expect(dialog.get_by_role("progressbar")).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".toast")).to_contain_text("Cancelled.")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert set(visitor.classes()) == set(COLOURS)


def test_a_finding_is_mended_by_one_click(visit: Visit, tmp_path: Path) -> None:
    visitor = visit().go("classes")
    wrong = tmp_path / "wrong.png"
    photo("red", 60).save(wrong)
    visitor.drop([wrong], on="a.card >> text=blue")
    visitor.button("Teach 1 photo").click()
    expect(visitor.page.locator("#counts")).to_have_text("3 classes · 13 photos")
    visitor.go("check")
    finding = visitor.page.locator(".finding").filter(has_text="wrong.png looks like")
    finding.get_by_role("button", name="Move to red").click()
    expect(finding).to_have_count(0)
    expect(visitor.page.locator(".accuracy")).to_contain_text("of 100")
    visitor.go("classes")
    expect(visitor.page.get_by_role("link", name="red")).to_contain_text("5 photos")


def test_hostile_names_are_shown_as_text(visit: Visit, red: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    hostile = red.with_name(f"{name.replace('/', '')}.png")
    red.rename(hostile)
    visitor = visit().go("classes")
    page = visitor.page
    page.on("dialog", lambda dialog: visitor.errors.append(f"a script ran: {dialog.message}"))
    visitor.button("New class", ".view-head").click()
    page.get_by_label("Name", exact=True).fill(name)
    visitor.choose("Choose photos", hostile, "dialog")
    visitor.button("Teach 1 photo").click()
    expect(page.get_by_role("link", name=name)).to_be_visible()
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    visitor.go("ask")
    page.locator(".chip").filter(has_text=name).wait_for()
    visitor.choose("Choose photos", hostile)
    verdict(visitor, name)
    visitor.go("check")
    page.locator(".finding, .blank").first.wait_for()
    assert page.locator("img[src=x]").count() == 0
