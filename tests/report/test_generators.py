"""The section about generators compares them, says what was measured, and shows it."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowshot.hallucination.inspection import Landing, Projection, Spread
from lowshot.report import write_report
from lowshot.report.differences import find_differences
from lowshot.report.figures.style import LIGHT, render
from lowshot.report.gains import Pairing, find_gains
from lowshot.report.generator_views import comparison_table, generator_section, generators_csv
from lowshot.report.generators import GeneratedClass, GeneratorView, Neighbour, neighbours_plot, projection_plot
from lowshot.report.page import Section
from lowshot.report.table_data import build_tables
from tests.report.class_records import class_records, copied
from tests.report.conftest import report_input
from tests.report.reading import Page

REPOSITORY = Path(__file__).parents[2]
LONG = "a name of a class that is far longer than any line of a figure, and that has no end to it"
PAIRINGS = [Pairing("analogies", f"{method} + analogies", method) for method in ("linear", "gaussian")]


@pytest.fixture
def view() -> GeneratorView:
    rng = np.random.default_rng(0)

    def image() -> Image.Image:
        return Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))

    plane = Projection(rng.random((1, 2)), rng.random((3, 2)), rng.random((5, 2)), np.array([0.6, 0.2]))
    neighbours = [Neighbour(image(), "Ж <b>", True, 3), Neighbour(image(), LONG, False)]
    spread = Spread(
        classes=np.array([3, 7]),
        covered_by_shots=np.array([0.1, 0.3]),
        covered=np.array([0.5, 0.7]),
        variance_ratio=np.array([0.5, np.nan]),
        precision=np.array([1.0, 0.5]),
        covered_by_others=np.array([0.3, 0.5]),
    )
    return GeneratorView(
        "analogies",
        "SGM",
        "sgm_analogies",
        1,
        5,
        [GeneratedClass("Ж <b>", [image()], neighbours, plane, 6)],
        spread,
        Landing(spread.classes, *np.array([[0.5, 0.3], [0.3, 0.3], [0.2, 0.4]])),
        Landing(spread.classes, *np.array([[0.1, 0.2], [0.2, 0.1], [0.7, 0.7]])),
        1.04,
        2.26,
    )


@pytest.fixture
def records() -> list[dict]:
    """One generator with two classifiers on one representation: the linear one gains, the gaussian one loses."""
    rows = {("SGM", "linear"): 0.4, ("SGM", "gaussian"): 0.7}
    rows |= {("SGM", "linear + analogies"): 0.6, ("SGM", "gaussian + analogies"): 0.2}
    return class_records(rows, n_shots=(1, 5))


def gains_in(records: list[dict], metric: str = "all_top1"):
    [table] = build_tables(records, [metric])
    return find_gains(records, table, PAIRINGS)


def html_of(section: Section) -> str:
    return "".join([section.html, *(fold.html for fold in section.folds)])


def test_the_text_holds_the_means_over_classes(view: GeneratorView) -> None:
    html = html_of(generator_section([view], []))
    for number in ("20.0 %", "60.0 %", "75.0 %", "0.50", "40.0 %", "15.0 %", "70.0 %", "2.3"):
        assert number in html
    assert "2 novel classes to 5 examples" in html


def test_all_generators_are_one_section_with_a_row_each_that_links_to_its_pictures(
    view: GeneratorView, tmp_path: Path
) -> None:
    classes = [replace(view.classes[0], neighbours=[])]
    other = replace(view, generator="difference", key="sgm_difference", classes=classes)
    section = generator_section([view, other], [])
    folder = write_report(tmp_path, **report_input(examples=[], training_logs={}, sections=[section])).parent
    page = Page((folder / "report.html").read_text("utf-8"))
    assert page.text.count("Generators") == 2  # the heading and the link to it
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a"]
    assert {"generator-sgm_analogies", "generator-sgm_difference"} <= ids & set(links)
    files = {path.name for path in (folder / "figures").glob("generator_*.png")}
    assert files == {f"generator_sgm_{name}.png" for name in ("analogies_neighbours", "analogies_projection")} | {
        "generator_sgm_difference_projection.png"
    }


def test_a_row_has_the_measures_of_a_generator_and_what_it_gains_at_each_n(
    view: GeneratorView, records: list[dict]
) -> None:
    gains = gains_in(records)
    [row] = comparison_table([view], [gains]).rows
    assert row[:7] == ["SGM", "analogies", "20 → 60", "40", "40 → 15", "30 → 70", "1.0 → 2.3"]
    [linear, gaussian] = gains.gains
    for n, text in zip((1, 5), row[7:], strict=True):
        least, most = gaussian.differences[n], linear.differences[n]
        assert least.mean < -30 < 10 < most.mean
        middle = (least.mean + most.mean) / 2
        expected = [f"{value:+.1f}".replace("-", "−") for value in (middle, least.mean, most.mean)]
        assert re.findall(r"[+−][\d.]+", text) == expected
    [one] = comparison_table([view], [replace(gains, gains=[linear])]).rows
    assert one[7] == str(linear.differences[1])


def test_a_gain_is_the_difference_that_the_page_shows_for_the_same_two_rows(records: list[dict]) -> None:
    [table] = build_tables(records, ["all_top1"])
    every = find_differences(records, table)
    places = {row.method: place for place, row in enumerate(table.rows)}
    for gain in gains_in(records).gains:
        for n, one in gain.differences.items():
            shown = every[n].between(places[gain.pairing.method], places[gain.pairing.without])
            assert (one.mean, one.half_width, one.p_value) == pytest.approx(
                (shown.mean, shown.half_width, shown.p_value)
            )


def test_where_nothing_is_generated_there_is_no_gain_of_zero(view: GeneratorView, records: list[dict]) -> None:
    same = [r for r in records if "+" not in r["method"]]
    for method in ("linear", "gaussian"):
        of_method = [r for r in same if r["method"] == method]
        same += copied(of_method, f"{method} + analogies", generator="g", n_per_class=5)
    [row] = comparison_table([view], [gains_in(same)]).rows
    assert row[-1] == "="


def test_the_page_says_why_coverage_and_accuracy_part_and_names_the_largest_fall(
    view: GeneratorView, records: list[dict]
) -> None:
    html = Page(str(generator_section([view], [gains_in(records), gains_in(records, "novel_top1")]).html)).text
    assert "cover 60\u00a0% of the images of their class, and 40\u00a0% of those of a class" in html
    assert "as that of 1.0" in html
    assert "gaussian + analogies on SGM at n = " in html
    falls = gains_in(records).gains[1].differences
    [(before, after)] = re.findall(r"Top-1, all classes: ([\d.]+) → ([\d.]+)", html)
    assert float(after) - float(before) == pytest.approx(min(one.mean for one in falls.values()), abs=0.11)
    assert "5 examples are worth 2.3 images" in html


def test_falls_that_are_shifts_are_told_from_those_that_are_none(view: GeneratorView, records: list[dict]) -> None:
    for share, words in ((0.9, "half of the fall or more remains"), (0.1, "less than half of the fall remains")):
        told = [{**r, "novel_only_top1": 0.7 - share * 0.5 * (r["method"] == "gaussian + analogies")} for r in records]
        tables = [gains_in(told, metric) for metric in ("novel_top1", "novel_only_top1")]
        assert words in generator_section([view], tables).html


def test_without_results_or_falls_or_anything_generated_the_page_says_so(
    view: GeneratorView, records: list[dict]
) -> None:
    nothing = replace(view, landing=None)
    assert "Nothing is generated" in generator_section([nothing], []).html
    gaining = [r for r in records if "linear" in r["method"]]
    assert "No accuracy that this page opens with falls" in generator_section([view], [gains_in(gaining)]).html
    assert "largest fall" not in generator_section([view], []).html


def test_a_strip_shows_an_image_once_and_says_how_often_it_is_nearest(view: GeneratorView) -> None:
    [fold] = generator_section([view], []).folds
    assert "×3 ✓" in fold.html
    assert f"×1 ✗ {LONG}" in fold.html
    assert "4 further ones are not shown" in fold.html
    texts = [text.get_text() for text in neighbours_plot(view).draw(LIGHT).axes[0].texts]
    assert texts[:3] == ["Ж <b>", "shot", "×3 ✓"]
    assert " ".join(texts[3].split()) == f"×1 ✗ {LONG}"


def test_the_axes_of_a_projection_say_which_share_of_the_variance_they_show(view: GeneratorView) -> None:
    plot = projection_plot(view)
    [axes] = plot.draw(LIGHT).axes
    assert axes.get_xlabel() == "component 1: 60 %"
    assert axes.get_ylabel() == "component 2: 20 %"
    assert "60 % and 20 %" in plot.alt


def test_the_measures_are_saved_as_csv(view: GeneratorView) -> None:
    [line] = csv.DictReader(io.StringIO(generators_csv([view])))
    assert (line["generator"], line["covered"], line["covered_by_others"]) == ("analogies", "0.6000", "0.4000")
    assert (line["shots_near_own"], line["near_own"], line["near_base"]) == ("0.4000", "0.1500", "0.7000")
    assert (line["shots_worth"], line["worth"]) == ("1.0400", "2.2600")


def test_the_alternative_text_counts_the_right_neighbours(view: GeneratorView) -> None:
    assert neighbours_plot(view).alt == "Ж <b>: 1 of 2 neighbours of its class"


def plots_of(view: GeneratorView) -> list:
    section = generator_section([view], [])
    return [*section.files, *section.embedded]


def test_the_figures_are_drawn_and_the_same_each_time(view: GeneratorView) -> None:
    for plot in plots_of(view):
        first, second = (render(plot, formats=("png", "pdf")) for _ in range(2))
        assert first == second
        assert first["png"].startswith(b"\x89PNG")


def digests() -> list[str]:
    """The digests of the figures of a generator, with images of few and of many colours."""
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, most, (40, 30, 3), dtype=np.uint8) for most in (2, 256) for _ in range(3)]
    images = [Image.fromarray(one) for one in pixels]
    plane = Projection(rng.random((2, 2)), rng.random((3, 2)), rng.random((5, 2)), np.array([0.6, 0.2]))
    neighbours = [Neighbour(image, "Ж <b>", row % 2 == 0) for row, image in enumerate(images[2:])]
    classes = [GeneratedClass(name, images[:2], neighbours, plane) for name in ("Ж <b>", "猫", "_x")]
    ones = np.ones(3)
    spread, landing = Spread(np.arange(3), ones, ones, ones, ones, ones), Landing(np.arange(3), ones, ones, ones)
    view = GeneratorView("analogies", "SGM", "sgm", 1, 5, classes, spread, landing, landing, 1.0, 1.0)
    files = [render(plot, formats=("png", "pdf")) for plot in plots_of(view)]
    return [hashlib.sha256(one[kind]).hexdigest() for one in files for kind in sorted(one)]


def test_another_process_draws_the_same_bytes() -> None:
    code = "import tests.report.test_generators as t; print(*t.digests())"
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == digests()
