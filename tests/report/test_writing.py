from __future__ import annotations

import re

import pytest
from markupsafe import Markup
from PIL import Image

from lowshot.errors import InputError, LowshotError
from lowshot.report import Example, Plot, Section, new_figure, to_csv, to_markdown, write_report
from lowshot.report.table_data import METRIC_TITLES

from .conftest import make_records, report_input
from .reading import Page, csv_entries, html_entries, markdown_entries, without_scripts


@pytest.fixture(scope="module")
def text(report):
    return (report / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def quick():
    """Input without training and examples, with one metric: one figure to draw."""
    return report_input(records=make_records(metrics=["all_top5"]), training_logs={}, examples=[])


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_files_of_a_report_are_there(report):
    figures = ["accuracy_all_top5", "accuracy_novel_top5", "examples", "training"]
    names = ["all_top5", "best", "novel_top1", "novel_top5"]
    names += [f"differences_{metric}_top5_n{n}" for metric in ("all", "novel") for n in (1, 5)]
    assert sorted(files_of(report)) == [
        "comparisons.csv",
        *[f"figures/{name}.{kind}" for name in figures for kind in ("pdf", "png")],
        "report.html",
        "tables.csv",
        "tables.md",
        *[f"tables/{name}.{kind}" for name in sorted(names) for kind in ("csv", "tex")],
    ]


def test_markdown_csv_and_page_hold_the_same_numbers(report, text):
    titles = {name: metric.title for name, metric in METRIC_TITLES.items()}
    from_page = html_entries(Page(text))
    assert from_page == markdown_entries((report / "tables.md").read_text("utf-8"))
    assert from_page == csv_entries((report / "tables.csv").read_text("utf-8"), titles)
    assert len(from_page) == 3 * 2 * 2 * 2
    assert (report / "tables.md").read_text("utf-8") == to_markdown(make_records())
    assert (report / "tables.csv").read_text("utf-8") == to_csv(make_records())


def test_the_page_shades_the_highest_mean_of_each_column(report, text):
    best = re.findall(r'<td class="number best"><strong>\s*([\d.]+)', text)
    bold = re.findall(r"\| \*\*([\d.]+)", (report / "tables.md").read_text("utf-8"))
    assert sorted(best) == sorted(bold)
    assert len(best) == 3 * 2


def test_the_same_input_gives_the_same_bytes(report, tmp_path):
    write_report(tmp_path, **report_input())
    assert files_of(tmp_path) == files_of(report)


def test_the_page_asks_nothing_of_the_network(report, text):
    text = without_scripts(text)
    assert "http://" not in text
    assert "https://" not in text
    page = Page(text)
    references = [
        attributes[name] for _, attributes in page.tags for name in ("src", "srcset", "href") if name in attributes
    ]
    beside = {name for name in files_of(report) if name != "report.html"}  # to save, never loaded by the page
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert references
    assert all(reference.startswith(("data:image/", "#")) for reference in references if reference not in links)
    assert all(link.startswith("#") or link in beside for link in links)
    assert not re.findall(r"url\(|@import", text)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}


def test_the_page_is_accessible(text):
    page = Page(text)
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    linked = [link.removeprefix("#") for link in links if link.startswith("#")]
    linked += [attributes["aria-describedby"] for _, attributes in page.tags if "aria-describedby" in attributes]
    assert set(linked) <= set(ids)


def test_the_page_says_where_the_numbers_come_from(text):
    page = Page(text)
    for expected in ("Side by side.", "2 images could not be read", "name: characters", "a host", "versions · numpy"):
        assert expected in page.text
    assert "is Ω" in page.text
    assert "✗ said Ա" in page.text
    assert "✓ said Ա" in page.text


def test_hostile_names_are_shown_and_not_obeyed(tmp_path, quick):
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    records = make_records(representations=[hostile], methods=[hostile, "{{ 7*7 }}"], metrics=["all_top5"])
    example = Example(Image.new("RGB", (4, 4)), hostile, hostile, hostile, hostile, 1)
    given = quick | {
        "title": hostile,
        "description": hostile,
        "records": records,
        "examples": [example],
        "recipe_yaml": hostile,
        "provenance": {hostile: hostile},
        "notes": [hostile],
        "sections": [Section(hostile, hostile)],
    }
    page = Page(without_scripts(write_report(tmp_path, **given).read_text("utf-8")))
    tags = {tag for tag, _ in page.tags}
    assert "script" not in tags
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert page.text.count(hostile) >= 8
    assert "{{ 7*7 }}" in page.text


def test_other_code_adds_sections_with_text_and_figures(tmp_path, quick):
    def draw(theme):
        figure = new_figure(2, 1)
        figure.add_subplot().plot([0, 1], color=theme.lines[0])
        return figure

    plot = Plot("analogies_spread", caption="A spread.", alt="A rising line.", draw=draw)
    section = Section("Analogies", Markup("<p>Real and <em>generated</em>.</p>"), [plot])
    page = Page(write_report(tmp_path, **quick, sections=[section]).read_text("utf-8"))
    assert "Real and generated." in page.text
    assert "A rising line." in [attributes.get("alt") for tag, attributes in page.tags if tag == "img"]
    assert (tmp_path / "figures" / "analogies_spread.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(LowshotError, match="analogies_spread"):
        write_report(tmp_path, **quick, sections=[section, section])


def test_photographs_are_embedded_small(tmp_path, quick):
    photo = Image.effect_noise((1600, 1200), 80)
    size = len(write_report(tmp_path, **quick).read_bytes())
    example = Example(photo, "a", "b", "SGM", "logistic", 1)
    assert len(write_report(tmp_path, **quick | {"examples": [example]}).read_bytes()) < size + 60_000


def test_without_results_nothing_is_written(tmp_path, quick):
    with pytest.raises(InputError, match="lowshot evaluate"):
        write_report(tmp_path / "new", **quick | {"records": []})
    assert not (tmp_path / "new").exists()


def test_a_failure_leaves_the_last_page_as_it_was(tmp_path, quick):
    def fail(theme):
        raise OSError("disk full")

    page = tmp_path / "report.html"
    page.write_text("the last one")
    with pytest.raises(OSError, match="disk full"):
        write_report(tmp_path, **quick, sections=[Section("x", "", [Plot("x", "", "", fail)])])
    assert page.read_text() == "the last one"
    assert not list(tmp_path.rglob("*.part"))
