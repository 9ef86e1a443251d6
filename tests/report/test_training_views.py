"""The page always says whether another training would change its numbers, or that it cannot tell."""

from __future__ import annotations

from lowshot.report.difference_views import difference_section
from lowshot.report.differences import find_differences
from lowshot.report.table_data import build_tables, primary
from lowshot.report.training_views import TITLE, trained_once, training_section
from lowshot.report.writing import Report
from tests.report.class_records import class_records
from tests.report.reading import Page

A, B = {("A", "ridge"): 0.8}, {("B", "ridge"): 0.4}
GIVEN = {"title": "t", "description": "", "training_logs": {}, "examples": [], "recipe_yaml": "", "provenance": {}}


def differences_text(records) -> str:
    table = primary(build_tables(records))[0]
    return Page(str(difference_section([find_differences(records, table)]).html)).text


def test_with_one_training_the_page_says_that_it_cannot_tell_and_how_it_could(tmp_path) -> None:
    path = Report(class_records(A), "test").write(tmp_path, **GIVEN, notes=[])
    text = Page(path.read_text("utf-8")).text
    assert TITLE in text
    assert "This report cannot tell" in text
    assert "seeds: 3" in text
    assert not (tmp_path / "trainings.csv").exists()


def test_with_several_trainings_of_all_there_are_numbers_and_no_doubt() -> None:
    records = class_records({**A, **B}, trainings=3)
    section = training_section(primary(build_tables(records)))
    assert "cannot tell" not in section.html
    assert section.tables
    assert "one trained network" not in differences_text(records)


def test_the_representations_that_were_trained_once_are_named() -> None:
    records = [*class_records(A, trainings=3), *class_records(B)]
    tables = primary(build_tables(records))
    assert trained_once(tables[0]) == ["B"]
    section = training_section(tables)
    assert "This report cannot tell for B" in section.html
    assert section.tables
    assert "Of B there is one trained network" in differences_text(records)


def test_differences_of_representations_are_said_to_be_of_networks() -> None:
    text = differences_text(class_records({**A, **B}))
    assert "Of each representation there is one trained network" in text
    assert "compare trained networks, not ways of training" in text
    assert "one trained network" not in differences_text(class_records({**A, ("A", "cosine"): 0.4}))


def test_the_opening_table_says_which_lead_is_too_close_and_the_foot_when_links_work(tmp_path) -> None:
    records = class_records({("A", "ridge"): 0.5, ("A", "cosine"): 0.5, ("B", "ridge"): 0.5})
    text = Page(Report(records, "test").write(tmp_path, **GIVEN, notes=[]).read_text("utf-8")).text
    assert "too close to call" in text
    assert "Links to files work where the folder of this page is kept or sent with it" in text
