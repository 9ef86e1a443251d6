"""Line figures of the page: values on hover, lines shown and hidden from the legend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.report import write_report
from lowshot.report.figures.style import DARK, LIGHT
from tests.report.conftest import make_records, report_input
from tests.report.page.reader import REPRESENTATIONS, Reader

expect = pytest.importorskip("playwright.sync_api", reason="the page is tested by playwright").expect

Read = Callable[..., Reader]


def test_a_point_says_the_number_of_the_table(read: Read) -> None:
    reader = read()
    cells = {tuple(row[:2]): row[2:] for row in reader.rows()}
    for panel, representation in enumerate(("Baseline", "SGM")):
        for point, n in ((0, 1), (2, 20)):
            said = reader.point_at("Gaussian", point, panel)
            assert said.splitlines()[0] == f"n = {n}"
            assert f"Gaussian: {cells[representation, 'Gaussian'][point]}" in said.splitlines()


def test_a_point_of_a_guess_and_of_a_training_say_what_they_are(read: Read) -> None:
    reader = read()
    assert "a guess: 25" in reader.point_at("a guess", 1).splitlines()
    reader.article = reader.page.locator("#training")
    said = reader.point_at("Baseline · total", 2).splitlines()
    assert said[0] == "epoch = 3"
    assert "Baseline · total: 1" in said


def test_a_press_in_the_legend_hides_a_method_in_every_panel(read: Read) -> None:
    reader = read()
    button = reader.legend("Cosine")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    hidden = [name for name, is_shown in reader.lines().items() if not is_shown]
    assert hidden == ["Baseline · Cosine", "SGM · Cosine"]
    button.focus()
    reader.page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert all(reader.lines().values())


def test_all_lines_are_hidden_and_brought_back_at_once(read: Read) -> None:
    reader = read()
    reader.legend("Hide all").click()
    assert not any(reader.lines().values())
    reader.legend("Ridge").click()
    assert [name for name, is_shown in reader.lines().items() if is_shown] == ["Baseline · Ridge", "SGM · Ridge"]
    reader.legend("Show all").click()
    assert all(reader.lines().values())


def test_the_legend_and_the_table_hide_independently(read: Read) -> None:
    reader = read()
    reader.legend("Cosine").click()
    reader.filter.fill("cosine")
    reader.filter.fill("")
    hidden = [name for name, is_shown in reader.lines().items() if not is_shown]
    assert hidden == ["Baseline · Cosine", "SGM · Cosine"]
    assert reader.count == "12 of 12 rows"


def test_the_figure_follows_the_theme(read: Read) -> None:
    reader = read(color_scheme="light")
    script = "canvas => Chart.getChart(canvas).getDatasetMeta(0).dataset.options.borderColor"
    canvas = reader.article.locator("canvas").first
    assert canvas.evaluate(script) == LIGHT.lines[0]
    reader.page.emulate_media(color_scheme="dark")
    assert canvas.evaluate(script) == DARK.lines[0]


def test_lines_have_the_intervals_of_the_table(read: Read) -> None:
    reader = read()
    script = """canvas => { const set = Chart.getChart(canvas).data.datasets[0].data[0];
        return [set.y - set.yMin, set.yMax - set.y]; }"""
    below, above = reader.article.locator("canvas").first.evaluate(script)
    shown = float(reader.rows()[0][2].split("±")[1])
    assert below == pytest.approx(above, abs=0.02)
    assert below == pytest.approx(shown, abs=0.06)


def test_the_picture_is_shown_where_the_figure_is_not(read: Read) -> None:
    reader = read()
    expect(reader.article.locator("figure img")).to_be_hidden()
    expect(reader.article.locator("canvas").first).to_be_visible()


def test_the_legend_leaves_out_what_the_table_hides(read: Read) -> None:
    reader = read()
    reader.filter.fill("linear -analogies")
    names = reader.article.locator(".legend button:visible").all_inner_texts()
    assert [name.strip() for name in names] == ["Linear", "a guess", "Hide all"]
    reader.filter.fill("")
    expect(reader.legend("Ridge")).to_be_visible()


def test_the_vertical_axis_fits_what_is_shown_and_panels_share_it(read: Read) -> None:
    reader = read()
    script = "canvas => { const { min, max } = Chart.getChart(canvas).scales.y; return [min, max]; }"

    def ranges() -> list[list[float]]:
        return [canvas.evaluate(script) for canvas in reader.article.locator("canvas").all()]

    before = ranges()
    assert before[0] == before[1]
    reader.filter.fill("baseline gaussian")
    reader.legend("a guess").click()
    after = ranges()
    assert after[0] == after[1]
    assert after[0][1] - after[0][0] < before[0][1] - before[0][0]
    reader.filter.fill("")
    reader.legend("a guess").click()
    assert ranges() == before


@pytest.fixture(scope="session")
def far_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose methods are all far above a guess, which is 5 % (top-5 among 100)."""
    records = make_records(REPRESENTATIONS, [f"m{i}" for i in range(15)], (1, 5), metrics=("all_top5",))
    near = [{"data": {"base": 40, "novel": 60}, "all_top5": 0.5 + record["all_top5"] / 20} for record in records]
    records = [record | changes for record, changes in zip(records, near)]
    return write_report(tmp_path_factory.mktemp("far"), **report_input(records=records))


def test_a_guess_far_below_is_off_at_first_and_can_be_shown(read: Read, far_path: Path) -> None:
    reader = read(far_path)
    assert {is_shown for name, is_shown in reader.lines().items() if "a guess" in name} == {False}
    assert "A guess is right in 5 %, far below" in reader.article.locator("figcaption").inner_text()
    script = "canvas => Chart.getChart(canvas).scales.y.min"
    canvas = reader.article.locator("canvas").first
    low = canvas.evaluate(script)
    assert low > 5
    reader.legend("a guess").click()
    assert canvas.evaluate(script) < 5
    reader.legend("Hide all").click()
    reader.legend("Show all").click()
    assert canvas.evaluate(script) == low


def test_a_point_lists_all_methods_of_its_number_of_shots(read: Read, far_path: Path) -> None:
    reader = read()
    said = reader.point_at("Gaussian", 0).splitlines()
    cells = {row[1]: row[2] for row in reader.rows() if row[0] == "Baseline"}
    assert {f"{method}: {cell}" for method, cell in cells.items()} <= set(said)
    values = [float(line.split(": ")[1].split()[0]) for line in said[1:] if ": " in line]
    assert values == sorted(values, reverse=True)
    reader = read(far_path)
    said = reader.point_at("m7", 1).splitlines()
    assert len([line for line in said if line.startswith("m")]) == 12
    assert any(line.startswith("m7: ") for line in said)
    footer = "canvas => Chart.getChart(canvas).tooltip.footer.join()"
    assert reader.article.locator("canvas").first.evaluate(footer) == "and 3 more, farther away"


def test_a_panel_without_rows_is_left_out(read: Read) -> None:
    reader = read()
    panels = reader.article.locator(".panel")
    reader.filter.fill("-baseline")
    expect(panels.nth(0)).to_be_hidden()
    expect(panels.nth(1)).to_be_visible()
    reader.filter.fill("")
    expect(panels.nth(0)).to_be_visible()
    box = panels.nth(0).locator("canvas").bounding_box()
    assert box["width"] > 300
    assert box["height"] > 200
