"""Published results of other papers are shown beside ours, each under the accuracy that it states."""

from __future__ import annotations

import pytest

from lowshot.report.neighbours import NOTES, neighbour_rows, neighbour_tables
from lowshot.report.published import MEAN, RepresentationKind, publication
from lowshot.report.tables import MISSING
from lowshot.report.writing import Report

KINDS = {"mine": RepresentationKind("resnet10", "none"), "wide": RepresentationKind("resnet50", "none")}


def records(n_shots: tuple[int, ...] = (1, 2, 5, 10, 20)) -> list[dict]:
    return [
        {
            "representation": representation,
            "method": "m",
            "classifier": "cosine",
            "generator": None,
            "setup": "test",
            "n_shots": n,
            "experiment": e,
            "all_top5": 0.5 + 0.01 * e,
            "novel_only_top5": 0.4,
            "all_prior_top5": 0.6,
        }
        for representation in KINDS
        for n in n_shots
        for e in (1, 2, 3)
    ]


def test_the_rows_are_three_methods_under_two_accuracies() -> None:
    found = {(row.metric, row.classifier): row.percent for row in neighbour_rows()}
    methods = ("prototype_matching", "weight_generator", "wdae_gnn")
    assert set(found) == {(m, c) for m in ("novel_only_top5", "all_top5") for c in methods}
    assert found["all_top5", "wdae_gnn"][1] == 59.0
    assert found["novel_only_top5", "prototype_matching"][20] == 77.4
    for percent in found.values():
        values = [percent[n] for n in publication().n_shots]
        assert values == sorted(values)
        assert percent[MEAN] == pytest.approx(sum(values) / 5)


def test_ours_on_the_same_backbone_stand_below_them() -> None:
    tables = neighbour_tables(records(), KINDS)
    assert [table.title for table in tables] == [
        "Published neighbours: Top-5, all classes",
        "Published neighbours: Top-5, novel classes among novel only",
    ]
    assert [row[:2] for row in tables[0].rows[3:]] == [["mine", "m"]]
    assert tables[0].rows[2][2:] == ["59.0", "66.2", "73.2", "76.1", "77.5", "70.4"]
    assert tables[0].rows[3][2].startswith("52.0")
    assert [table.title[22:] for table in neighbour_tables(records(), KINDS, ["all_top5"])] == ["Top-5, all classes"]
    assert neighbour_tables(records(), KINDS, ["all_prior_top5"]) == []


def test_without_every_published_n_there_is_no_mean() -> None:
    [row] = neighbour_tables(records((1, 3)), KINDS, ["all_top5"])[0].rows[3:]
    assert row[2].startswith("52.0")
    assert row[3:] == [MISSING] * 5


def test_the_report_says_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(records(), "test", None, KINDS, [])
    report.print()
    printed = " ".join(capsys.readouterr().out.split())
    assert "divides the mass of the softmax" in printed
    assert "Published neighbours: Top-5, all classes" in printed
    assert "added to the scores of novel classes" in " ".join(NOTES)
