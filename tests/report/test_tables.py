from __future__ import annotations

import io

import pytest
from rich.console import Console

from lowshot.errors import InputError
from lowshot.report import paper_tables, to_csv, to_markdown
from lowshot.report.tables import TextTable, fitting_tables, print_tables

from .conftest import make_records
from .reading import markdown_entries

SHOTS = (1, 2, 5, 10, 20)
LONG = ("logistic", "logistic + analogies (20 per class)")


def printed(table, width):
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(table)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("methods", [("logistic",), LONG])
def test_tables_fit_the_terminal_and_cut_no_number(width, methods):
    records = make_records(methods=methods, n_shots=SHOTS, metrics=["novel_top5"])
    [table] = paper_tables(records, width=width)
    lines = printed(table, width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for cell in markdown_entries(to_markdown(records)).values():
        mean, interval = cell.split()
        assert mean in text
        assert interval in text
    assert "…" not in text


def test_intervals_stand_beside_their_means_where_there_is_room():
    records = make_records(n_shots=SHOTS, metrics=["novel_top5"])
    [cell, *_] = markdown_entries(to_markdown(records)).values()
    assert cell in printed(*paper_tables(records, width=120), 120)
    assert cell not in printed(*paper_tables(records, width=70), 70)


def test_the_terminal_shows_the_primary_metrics_and_markdown_all():
    records = make_records(metrics=["novel_top5", "all_top5", "base_top5", "novel_top1"])
    assert [table.title.plain for table in paper_tables(records)] == [
        "Top-5, novel classes, joint space",
        "Top-5, all classes",
    ]
    assert to_markdown(records).count("| Representation |") == 4
    assert to_markdown(records, ["base_top5"]).count("| Representation |") == 1


def test_only_the_highest_mean_of_a_column_is_bold():
    records = make_records(experiments=1, metrics=["novel_top5"])
    for record, accuracy in zip(records, [0.1, 0.8, 0.3, 0.4, 0.5, 0.2, 0.5, 0.1], strict=True):
        record["novel_top5"] = accuracy
    cells = [cell.strip() for line in to_markdown(records).splitlines() for cell in line.split("|")]
    assert [cell for cell in cells if cell.startswith("**") and cell[2].isdigit()] == [
        "**80.0**",
        "**50.0**",
        "**50.0**",
    ]


def test_missing_entries_are_a_dash_in_markdown_and_absent_from_csv():
    records = [r for r in make_records(metrics=["all_top5"]) if (r["method"], r["n_shots"]) != ("logistic", 5)]
    assert list(markdown_entries(to_markdown(records)).values()).count("–") == 2
    assert len(to_csv(records).splitlines()) == 1 + 6


def test_names_with_markup_stay_inside_their_cell():
    records = make_records(representations=["a|b", "[red]x[/]"], methods=["<b>*m*</b>"], metrics=["all_top5"])
    text = to_markdown(records)
    assert r"| a\|b | \<b\>\*m\*\</b\> |" in text
    assert "[red]x[/]" in printed(*paper_tables(records, width=120), 120)


def test_without_results_the_command_to_run_is_named():
    with pytest.raises(InputError, match="lowshot evaluate"):
        paper_tables([])


def records_of_all_kinds():
    records = make_records(metrics=["novel_top5", "all_top5", "novel_only_top5"], n_shots=SHOTS, methods=LONG)
    return [{**record, "data": {"base": 20, "novel": 12}} for record in records]


@pytest.mark.parametrize("width", [80, 120])
def test_captions_are_printed_once_and_as_wide_as_the_terminal(width):
    file = io.StringIO()
    tables = fitting_tables(records_of_all_kinds(), width=width)
    print_tables(Console(file=file, width=width, color_system=None), tables)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= width
    text = " ".join(line.strip() for line in lines)
    assert text.count("Student t interval") == 1
    assert text.count("A guess is right in 15.6 %.") == 1  # 5 of 32
    assert text.count("A guess is right in 41.7 %.") == 1  # 5 of 12
    assert "Top-5, novel classes, joint space ¹" in lines
    assert "Top-5, all classes ¹" in lines
    assert "Top-5, novel classes among novel only ²" in lines


def test_a_single_table_needs_no_footnote_mark():
    file = io.StringIO()
    records = [record for record in records_of_all_kinds() if record.pop("novel_only_top5") and record.pop("all_top5")]
    print_tables(Console(file=file, width=80, color_system=None), fitting_tables(records, width=80))
    assert "¹" not in file.getvalue()
    assert "A guess is right in 15.6 %." in file.getvalue()


def test_other_tables_move_intervals_below_means_where_the_line_is_full():
    row = ["a representation of a long name", "a method of a long name", *["12.3 ±0.4"] * 6]
    table = TextTable("T", ["Representation", "Method", *"123456"], [row], "caption")
    for width, beside in ((80, False), (140, True)):
        file = io.StringIO()
        print_tables(Console(file=file, width=width, color_system=None), [table])
        assert ("12.3 ±0.4" in file.getvalue()) == beside
        assert file.getvalue().count("±0.4") == 6
        assert max(map(len, file.getvalue().splitlines())) <= width
