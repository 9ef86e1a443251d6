"""The report says on which classes a method fails, or that the results do not say it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image

from lowshot.report.class_results import class_results, classes_csv, confusions_csv, kinds_csv
from lowshot.report.class_views import MOST_METHODS, TITLE, TestImages, class_section
from lowshot.report.writing import Report
from tests.report.class_records import NAMES, QUERIES, class_records
from tests.report.conftest import make_records
from tests.report.reading import Page

ROWS = {("Base", "good"): 0.8, ("Base", "bad"): 0.2}
RANKING = [("Base", "good"), ("Base", "bad")]


def lines(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_accuracies_by_class_are_means_over_draws() -> None:
    records = class_records(ROWS)
    found = class_results(records, "test")
    assert [(one.method, one.n_shots) for one in found] == [("good", 1), ("good", 20), ("bad", 1), ("bad", 20)]
    right = np.mean([r["top1_by_class"] for r in records if r["method"] == "good" and r["n_shots"] == 1], axis=0)
    assert found[0].accuracy(1) == pytest.approx(100 * right / QUERIES)
    assert found[0].names == tuple(NAMES)
    entries = [line for line in lines(classes_csv(found)) if (line["method"], line["n_shots"]) == ("good", "1")]
    assert [line["class"] for line in entries] == NAMES
    assert [line["kind"] for line in entries] == ["base"] * 2 + ["novel"] * 4
    assert [float(line["top1"]) for line in entries] == pytest.approx(100 * right / QUERIES, abs=1e-4)


def test_confusions_have_names_and_shares_of_all_queries() -> None:
    found = class_results(class_records(ROWS), "test")[0]
    first, second = found.confusions
    assert (first.true, first.answered, first.times, first.row) == ("one", "four", 12, 30)
    assert first.share == pytest.approx(12 / (10 * 5))
    assert (second.true, second.answered) == ("four", "nine")
    assert lines(confusions_csv([found]))[0]["share_of_queries"] == "0.2400"


def test_counts_of_several_trainings_are_added() -> None:
    found = class_results(class_records(ROWS, trainings=3), "test")[0]
    assert found.confusions[0].times == 3 * 12
    assert found.confusions[0].share == pytest.approx(12 / (10 * 5))
    assert found.n_runs == 15
    assert sum(found.answered_as["base"]) == 15 * 30
    assert lines(kinds_csv([found]))[0]["queries_of"] == "base"


def test_the_page_lists_classes_pairs_and_kinds() -> None:
    section = class_section(class_results(class_records(ROWS), "test"), RANKING, None)
    page = Page(str(section.html))
    titles = [title for title, _ in page.tables]
    assert titles[0] == "Test images of novel classes that are answered with a base class"
    assert titles.count("Accuracy of each class") == 2
    listed = [row[0] for row in page.tables[2][1][1:]]
    assert sorted(listed) == sorted(NAMES)
    assert "one → four (24 %)" in page.text


def test_answers_with_the_bias_have_columns_of_their_own() -> None:
    records = [record | {"answered_as_prior": record["answered_as"]} for record in class_records(ROWS)]
    _, [head, first, *_] = Page(str(class_section(class_results(records, "test"), RANKING, None).html)).tables[0]
    assert head[2:4] == ["n=1 as is", "n=1 with bias"]
    assert first[2] == first[3]
    assert all(float(cell) >= 0 for cell in first[2:])
    _, [head, *_] = Page(str(class_section(class_results(class_records(ROWS), "test"), RANKING, None).html)).tables[0]
    assert head[2] == "n=1"


def test_confused_pairs_have_images_where_there_are_any() -> None:
    asked = []

    def image(number):
        asked.append(number)
        return Image.new("RGB", (8, 8))

    section = class_section(class_results(class_records(ROWS), "test"), RANKING, TestImages(image, image))
    tags = [attributes for tag, attributes in Page(str(section.html)).tags if tag == "img"]
    assert len(tags) == len(asked) == 2 * 2 * 2 * 2  # methods, numbers of shots, pairs, images
    assert asked[:4] == [30, 4, 7, 9]
    assert {attributes["alt"] for attributes in tags} > {"A test image of class one", "A test image of class four"}


def test_results_that_do_not_say_it_are_said_not_to() -> None:
    assert class_results(make_records(), "test") == []
    section = class_section([], RANKING, None)
    assert section.title == TITLE
    assert section.html.startswith("Not recorded")
    partly = class_section(class_results(class_records(ROWS), "test"), [*RANKING, ("Base", "old")], None)
    assert "of 1 more row do not say it" in partly.html


def test_lists_of_other_lengths_are_left_out() -> None:
    records = class_records(ROWS)
    for record in records:
        record["top1_by_class"] = record["top1_by_class"][:-1]
    assert class_results(records, "test") == []


def test_of_many_methods_the_best_are_shown() -> None:
    rows = {("Base", f"m{i}"): 0.5 for i in range(MOST_METHODS + 3)}
    section = class_section(class_results(class_records(rows), "test"), list(rows), None)
    assert section.html.count("<details") == MOST_METHODS
    assert f"The {MOST_METHODS} best methods of {MOST_METHODS + 3}" in section.html


def test_a_report_saves_the_numbers_beside_the_page(tmp_path) -> None:
    records = class_records(ROWS, trainings=2)
    report = Report(records, "test")
    given = {"title": "t", "description": "", "training_logs": {}, "examples": [], "recipe_yaml": ""}
    page = Page(report.write(tmp_path, **given, provenance={}, notes=[]).read_text("utf-8"))
    for name in ("classes.csv", "confusions.csv", "kinds.csv", "trainings.csv", "comparisons.csv"):
        assert (tmp_path / name).stat().st_size
    assert "Would another training change it?" in page.text
    [line, *_] = lines((tmp_path / "trainings.csv").read_text("utf-8"))
    assert (line["trainings"], line["experiments"]) == ("2", "5")
