"""The page of a server that cannot be changed, wants a token, knows nothing, or is gone; and other people's changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowshot.recogniser import Recogniser
from tests.recogniser.conftest import photo, tiny_network, write_photos
from tests.server.page.visitor import COLOURS, Visitor

expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Visit = Callable[..., Visitor]
TOKEN = "0123456789abcdef0123456789"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported recogniser."""
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lowshot.recogniser.embedding.load_pretrained", tiny_network)
        patch.setattr("lowshot.representation.load_pretrained", tiny_network)
        recogniser = Recogniser.create(folder / "colours")
        recogniser.teach(write_photos(folder / "photos", COLOURS))
        recogniser.export_onnx(folder / "colours.onnx")
    return folder / "colours.onnx"


def ask(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "question.png"
    photo("red", 50).save(path)
    visitor.go("ask").choose("Choose photos", path)
    expect(visitor.page.locator(".verdict:visible")).to_have_text("red")


def test_a_read_only_page_answers_says_why_and_offers_no_change(visit: Visit, tmp_path: Path) -> None:
    visitor = visit(read_only=True)
    ask(visitor, tmp_path)
    page = visitor.page
    expect(page.locator("#read-only")).to_be_visible()
    assert page.locator(".acts button").count() == 0
    visitor.go("classes")
    expect(page.get_by_text("Read-only: whoever started this server")).to_be_visible()
    assert page.get_by_role("button", name="New class").count() == 0
    visitor.go("classes/red")
    expect(page.locator(".photo")).to_have_count(4)
    assert page.get_by_role("button", name="Rename").count() == 0
    assert page.locator(".photo button").count() == 0
    visitor.go("check")
    page.locator(".accuracy").wait_for()
    assert page.locator(".fixes button").count() == 0


def test_an_exported_file_answers_without_nearest_photos(visit: Visit, exported: Path, tmp_path: Path) -> None:
    visitor = visit(folder=exported)
    ask(visitor, tmp_path)
    page = visitor.page
    expect(page.locator(".bars li:visible")).to_have_count(3)
    assert page.locator(".neighbours li").count() == 0
    visitor.go("classes")
    expect(page.get_by_text("exported file")).to_be_visible()
    assert set(visitor.classes()) == set(COLOURS)
    visitor.go("check")
    expect(page.get_by_text("Nothing to check here")).to_be_visible()


def test_a_token_is_asked_for_and_opens_the_page_with_its_pictures(visit: Visit, tmp_path: Path) -> None:
    secret = tmp_path / "token.txt"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    visitor = visit(token_file=str(secret))
    page = visitor.page
    page.goto(f"{visitor.address}#classes")
    page.get_by_label("Token").fill("0123456789abcdefwrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    assert page.locator(".card").count() == 0
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("a.card")).to_have_count(3)
    assert page.locator("a.card img").first.evaluate("async (image) => (await image.decode(), image.naturalWidth > 0)")
    page.reload()
    expect(page.locator("a.card")).to_have_count(3)


def test_whoever_gave_the_token_can_sign_out(visit: Visit, tmp_path: Path) -> None:
    secret = tmp_path / "token.txt"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    visitor = visit(token_file=str(secret))
    page = visitor.page
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if "username" in message.text else None)
    page.goto(f"{visitor.address}#classes")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("a.card")).to_have_count(3)
    visitor.button("Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.locator("a.card").count() == 0
    assert not page.context.cookies()
    page.reload()
    expect(page.get_by_label("Token")).to_be_visible()
    assert not complaints


def test_without_a_token_there_is_nothing_to_sign_out_of(visit: Visit) -> None:
    visitor = visit().go("classes")
    expect(visitor.page.locator("a.card")).to_have_count(3)
    expect(visitor.button("Sign out")).to_have_count(0)


def test_an_empty_recogniser_says_what_to_do_first(visit: Visit, tmp_path: Path) -> None:
    visitor = visit(colours=None).go("ask")
    page = visitor.page
    expect(page.get_by_text("Teach it something first")).to_be_visible()
    visitor.button("Teach the first class", ".start").click()
    folder = write_photos(tmp_path / "folder", {"red": 3, "blue": 3})
    visitor.choose("Add a folder", folder)
    visitor.button("Teach 6 photos of 2 classes").click()
    expect(page.locator("a.card")).to_have_count(2)
    ask(visitor, tmp_path)


def test_a_silent_server_is_told_of_and_the_page_goes_on_when_it_is_back(visit: Visit, tmp_path: Path) -> None:
    visitor = visit()
    ask(visitor, tmp_path)
    page = visitor.page
    page.route("**/*", lambda route: route.abort())
    visitor.button("Right, teach it as red").click()
    expect(page.get_by_text("The server does not answer. Trying again in")).to_be_visible()
    expect(page.get_by_role("dialog")).to_contain_text("The server does not answer.")
    page.keyboard.press("Escape")
    with page.expect_request("**/health"):
        visitor.button("Try now").click()
    page.unroute("**/*")
    expect(page.locator("#banner")).to_be_hidden(timeout=15_000)
    visitor.button("Right, teach it as red").click()
    expect(page.locator("#counts")).to_have_text("3 classes · 13 photos")


def test_changes_of_other_people_appear_by_themselves(visit: Visit, tmp_path: Path, grey: Path) -> None:
    first = visit().go("classes")
    second = visit(address=first.address).go("classes")
    first.drop([grey], on=".view-head")
    first.page.get_by_label("Name", exact=True).fill("grey")
    first.button("Teach 1 photo").click()
    expect(second.page.get_by_role("link", name="grey")).to_be_visible(timeout=15_000)


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    photo("grey", 1).save(path)
    return path


def test_the_theme_follows_the_machine_until_it_is_chosen(visit: Visit) -> None:
    visitor = visit(context={"color_scheme": "dark"}).go("ask")
    page = visitor.page

    def ground() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    dark = ground()
    visitor.button("Change to light").click()
    assert ground() != dark
    page.reload()
    visitor.button("Change to dark").click()
    assert ground() == dark
