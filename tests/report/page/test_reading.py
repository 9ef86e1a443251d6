"""The page without scripts, without a network, by axe-core, on a phone; and how large it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.report import Section, write_report
from lowshot.report.scripts import LIBRARIES, scripts
from tests.browser import faults
from tests.report.conftest import make_records, report_input
from tests.report.page import cifar
from tests.report.page.reader import Reader
from tests.report.reading import Page, html_entries

pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Read = Callable[..., Reader]


def test_without_scripts_every_row_and_figure_is_shown(read: Read, page_path: Path) -> None:
    reader = read(java_script_enabled=False)
    expect(reader.page.locator(".controls, .chart, button")).to_have_count(0)
    shown = reader.page.locator("article").first
    expect(shown.locator("tbody tr")).to_have_count(12)
    for row in shown.locator("tbody tr").all():
        expect(row).to_be_visible()
    figures = reader.page.locator("figure.plot img")
    assert figures.count() == 3
    for figure in figures.all():
        expect(figure).to_be_visible()
        assert figure.evaluate("image => image.complete && image.naturalWidth > 0")
    assert len(html_entries(Page(page_path.read_text("utf-8")))) == 2 * 2 * 6 * 3


def test_with_scripts_the_tables_hold_what_they_held_without(read: Read) -> None:
    script = """() => [...document.querySelectorAll("article td.number")]
        .map(cell => cell.textContent.replace(/\\s+/g, " ").trim())"""
    # evaluate() works without the page's scripts
    assert read().page.evaluate(script) == read(java_script_enabled=False).page.evaluate(script)


def test_nothing_is_asked_of_a_network_that_is_not_there(read: Read) -> None:
    reader = read(offline=True)
    expect(reader.article.locator("canvas").first).to_be_visible()
    reader.head("n=1").click()
    assert reader.sorting()


def test_only_the_scripts_of_the_package_are_allowed(page_path: Path) -> None:
    page = Page(page_path.read_text("utf-8"))
    [policy] = [attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv")]
    allowed = next(part for part in policy.split("; ") if part.startswith("script-src")).split()[1:]
    assert allowed == [f"'{script.source}'" for script in scripts()]
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}] * len(allowed)


def test_a_script_that_the_package_does_not_have_is_not_run(read: Read, page_path: Path, tmp_path: Path) -> None:
    text = page_path.read_text("utf-8")
    changed = tmp_path / "report.html"
    changed.write_text(text.replace("</main>", "<script>document.title = 'run'</script></main>"), "utf-8")
    reader = read(changed)
    assert reader.page.title() == "Characters"
    [error] = reader.errors
    assert "Content Security Policy" in error
    reader.errors.clear()


@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_a_library_stands_on_the_page_with_its_licence(page_path: Path, library: str) -> None:
    text = page_path.read_text("utf-8")
    begins = text.index(f"/*! {library}")
    assert "Permission is hereby granted, free of charge" in text[begins : begins + 3000]
    assert "sourceMappingURL" not in text


def test_hostile_names_do_nothing_with_scripts(read: Read, tmp_path: Path) -> None:
    hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
    methods = [f"{hostile} {i}" for i in range(8)]
    given = report_input(
        records=make_records([hostile, "SGM"], methods, metrics=["all_top5"]),
        training_logs={hostile: [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]},
        sections=[Section(hostile, hostile)],
        examples=[],
    )
    reader = read(write_report(tmp_path, **given))
    reader.filter.fill("sgm")
    assert reader.count == "8 of 16 rows"
    assert reader.legend(methods[0]).count() == 1
    assert hostile in reader.point_at(methods[3], 0, panel=1)
    assert reader.page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 400])
def test_axe_finds_no_serious_fault(read: Read, theme: str, width: int) -> None:
    reader = read(color_scheme=theme, viewport={"width": width, "height": 900})
    assert not faults(reader.page)
    reader.head("n=1").click()
    reader.filter.fill("cosine")
    reader.article.get_by_text("Choose rows").click()
    reader.legend("Cosine").click()
    assert not faults(reader.page)


@pytest.mark.parametrize("width", [400, 360])
def test_no_part_is_wider_than_a_phone(read: Read, width: int) -> None:
    reader = read(viewport={"width": width, "height": 800})
    for details in reader.page.locator("details:not([open]) > summary").all():
        if details.is_visible():
            details.click()
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
    box = reader.article.locator("canvas").first.bounding_box()
    assert box["width"] > width * 0.8


def test_the_page_of_the_cifar100_recipe_is_within_five_megabytes(read: Read, tmp_path: Path) -> None:
    path = cifar.write(tmp_path)
    strips = re.findall(r'data:image/webp;base64,[^"]*', path.read_text("utf-8"))
    assert len(strips) == 2  # in both themes
    generators_and_representations = 2 * 4
    assert path.stat().st_size + (generators_and_representations - 1) * sum(map(len, strips)) <= 5_000_000
    reader = read(path)
    assert reader.count == "84 of 84 rows"
    reader.filter.fill("l2 gaussian")
    assert reader.count == "3 of 84 rows"
    drawn = {name for name, is_shown in reader.lines().items() if is_shown and "a guess" not in name}
    assert drawn == {"L2 · Gaussian", "L2 · Gaussian + analogies", "L2 · Gaussian + calibration"}
