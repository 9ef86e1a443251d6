"""Stores side by side: no run twice, no two things under one name, every difference named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lowshot.benchmark.results import read_records, write_records
from lowshot.compat.formats.results import Run, to_records
from lowshot.errors import InputError
from lowshot.pipeline.report_command import report_on
from lowshot.report.comparison import Comparison, compare, write_store_report
from lowshot.report.published import RepresentationKind
from lowshot.report.stores import open_stores
from lowshot.report.table_data import METRIC_TITLES, build_tables
from lowshot.report.tables import to_csv

from .reading import Page, csv_entries, html_entries, markdown_entries

DATA = {"train": "train", "test": "test", "split": "split", "base": 4, "novel": 5, "classes": 20}


def store(
    folder: Path,
    recipe: str = "one",
    rows: dict[str, float] | None = None,
    labels: dict[str, str] | None = None,
    experiments: int = 2,
    train: dict | None = None,
    **changes: Any,
) -> Path:
    """A folder of results: ``rows`` {"representation/method": accuracy} at n = 1 and 5, and their recipe."""
    records = []
    for row, accuracy in (rows or {"base/linear": 0.5}).items():
        representation, method = row.split("/")
        for n in (1, 5):
            unit = f"{recipe} {row} {n} {changes}"
            for e in range(1, experiments + 1):
                record = {
                    "recipe": recipe,
                    "representation": representation,
                    "method": method,
                    "classifier": "logistic",
                    "generator": None,
                    "setup": "test",
                    "n_shots": n,
                    "experiment": e,
                    "unit": unit,
                    "unit_size": experiments,
                    "task": f"{unit} {e}",
                    "data": DATA,
                    "features": f"features of {representation}",
                    "shots": f"{n} {e}",
                    "all_top5": accuracy + 0.01 * e,
                    "novel_top1": accuracy / 2,
                }
                records.append(record | changes)
    write_records(folder / "results.jsonl", records)
    sections = {name.split("/")[0]: {"label": (labels or {}).get(name.split("/")[0])} for name in rows or {"base": 0}}
    tree = {"name": recipe, "train": train or {"backbone": "resnet10"}, "representations": sections}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(tree))
    return folder


def together(*sources: Path) -> Comparison:
    return compare(open_stores(sources))


def means(found: Comparison) -> dict[tuple[str, str], float]:
    """{(representation, method): mean accuracy at n = 1}, as the tables show it."""
    [table] = build_tables(found.records, ["all_top5"], found.setup)
    return {(row.representation, row.method): pytest.approx(row.cells[0].mean) for row in table.rows if row.cells[0]}


def test_a_store_alone_shows_its_labels_and_what_its_recipe_trains(tmp_path: Path) -> None:
    found = together(store(tmp_path, labels={"base": "Baseline"}))
    assert means(found) == {("Baseline", "linear"): 51.5}
    assert found.kinds == {"Baseline": RepresentationKind("resnet10", "none")}
    assert found.warnings == []


def test_stores_of_different_rows_stand_side_by_side(tmp_path: Path) -> None:
    a = store(tmp_path / "a", "one", {"base/linear": 0.5})
    b = store(tmp_path / "b", "two", {"other/linear": 0.6, "base/ridge": 0.7})
    expected = {("base", "linear"): 51.5, ("other", "linear"): 61.5, ("base", "ridge"): 71.5}
    assert means(together(a, b)) == expected
    assert together(a, b).warnings == []
    assert means(together(b, a)) == expected


def test_the_same_run_counts_once_in_however_many_stores_it_is(tmp_path: Path) -> None:
    a = store(tmp_path / "a")
    again = together(a, store(tmp_path / "copy"), a / "results.jsonl", a)
    assert means(again) == means(together(a))
    assert len(again.records) == 4
    assert again.warnings == ["4 runs are in several stores and are counted once"]


def test_the_same_run_with_another_outcome_is_named(tmp_path: Path) -> None:
    found = together(store(tmp_path / "a"), store(tmp_path / "b", novel_top1=0.9))
    changed = together(store(tmp_path / "a"), store(tmp_path / "b"))
    assert len(changed.records) == 4
    assert len(found.records) == 8  # another fingerprint: another run
    lines = (tmp_path / "b" / "results.jsonl").read_text().replace('"novel_top1": 0.25', '"novel_top1": 0.26')
    (tmp_path / "b" / "results.jsonl").write_text(lines)
    warnings = together(tmp_path / "a", tmp_path / "b").warnings
    assert "4 of these runs have other accuracies" in warnings[1]


def test_one_name_of_two_representations_is_told_apart_by_the_recipe(tmp_path: Path) -> None:
    a = store(tmp_path / "a", "one", {"base/linear": 0.5})
    b = store(tmp_path / "b", "two", {"base/linear": 0.6, "base/ridge": 0.7}, features="others")
    assert means(together(a, b)) == {
        ("base (one)", "linear"): 51.5,
        ("base (two)", "linear"): 61.5,
        ("base (two)", "ridge"): 71.5,
    }


def test_one_name_of_two_methods_on_the_same_features_is_told_apart(tmp_path: Path) -> None:
    a = store(tmp_path / "a", "one", {"base/linear": 0.5})
    b = store(tmp_path / "b", "two", {"base/linear": 0.6, "base/ridge": 0.7})
    assert means(together(a, b)) == {
        ("base", "linear (one)"): 51.5,
        ("base", "linear (two)"): 61.5,
        ("base", "ridge"): 71.5,
    }


def test_stores_of_one_recipe_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    a, b = store(tmp_path / "a"), store(tmp_path / "b", rows={"base/linear": 0.6}, features="others")
    assert set(means(together(a, b))) == {(f"base ({a})", "linear"), (f"base ({b})", "linear")}


def test_records_that_do_not_name_their_features_are_never_merged(tmp_path: Path) -> None:
    for name, recipe in (("a", "one"), ("b", "two")):
        file = store(tmp_path / name, recipe) / "results.jsonl"
        full = [json.loads(line) for line in file.read_text().splitlines()]
        write_records(file, [{k: v for k, v in r.items() if k not in ("features", "data", "shots")} for r in full])
    found = together(tmp_path / "a", tmp_path / "b")
    assert set(means(found)) == {("base (one)", "linear"), ("base (two)", "linear")}
    assert "do not say what data they are of" in found.warnings[0]


def test_converted_results_of_the_original_stand_next_to_ours(tmp_path: Path) -> None:
    runs = [Run("base", experiment, n, (0.5,) * 6, 0.1, 0.001) for experiment in (1, 2) for n in (1, 5)]
    write_records(tmp_path / "original.jsonl", to_records(runs))
    found = together(tmp_path / "original.jsonl", store(tmp_path / "a", "one"))
    assert set(means(found)) == {(f"base ({tmp_path.name})", "logistic lr=0.1 wd=0.001"), ("base (one)", "linear")}
    assert "converted from the original program" in found.warnings[0]


@pytest.mark.parametrize("key", ["data", "features", "shots"])
def test_a_record_that_says_only_part_of_its_origin_is_refused(tmp_path: Path, key: str) -> None:
    records = read_records(store(tmp_path) / "results.jsonl")
    write_records(tmp_path / "results.jsonl", [{k: v for k, v in r.items() if k != key} for r in records])
    with pytest.raises(InputError, match=f"lacks {key}: expected those of `lowshot evaluate`"):
        open_stores([tmp_path])


def test_different_test_data_is_named(tmp_path: Path) -> None:
    a = store(tmp_path / "a", "one")
    b = store(tmp_path / "b", "two", {"x/linear": 0.6}, data={**DATA, "test": "another", "novel": 50})
    [warning] = together(a, b).warnings
    assert warning.startswith("DIFFERENT TEST DATA")
    assert "one: 4 base and 5 novel" in warning
    assert "two: 4 base and 50 novel" in warning


def test_different_numbers_of_experiments_are_named(tmp_path: Path) -> None:
    a = store(tmp_path / "a", "one")
    b = store(tmp_path / "b", "two", {"x/linear": 0.6}, experiments=100)
    assert together(a, b).warnings == ["different numbers of experiments: one: 2; two: 100"]


def test_a_store_without_the_setup_is_named(tmp_path: Path) -> None:
    a = store(tmp_path / "a", "one")
    b = store(tmp_path / "b", "two", {"x/linear": 0.6}, setup="val")
    found = together(a, b)
    assert found.warnings == ["two has no result of setup 'test': it has no row in these tables"]
    assert set(means(found)) == {("base", "linear")}
    assert together(b).setup == "val"


def test_differences_are_paired_only_where_the_shots_are_the_same(tmp_path: Path) -> None:
    a = store(tmp_path / "a", "one", {"base/linear": 0.5})
    same = store(tmp_path / "b", "two", {"x/linear": 0.6})
    other = store(tmp_path / "c", "three", {"y/linear": 0.7}, shots="drawn otherwise")

    def lead(found: Comparison) -> Any:
        first, second = build_tables(found.records, ["all_top5"])[0].rows
        return second.cells[0].lead_over(first.cells[0])

    assert lead(together(a, same)).mean == pytest.approx(10)
    assert lead(together(a, other)) is None
    assert together(a, same).warnings == []
    assert "drew different shots" in together(a, other).warnings[0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder, "there are no results in"),
        (lambda folder: folder / "no.jsonl", "there are no results in"),
        (lambda folder: _written(folder, ""), "holds no finished results"),
        (lambda folder: _written(folder, '{"epoch": 3}\n'), "line 1 is not a record"),
        (
            lambda folder: _written(folder, '{"unit": "u", "unit_size": 1, "setup": "test"}\n'),
            "lacks experiment, method",
        ),
        (
            lambda folder: _of_a_grid(folder),
            r"grid\.jsonl lacks task: expected those of `lowshot evaluate`, not the grid",
        ),
    ],
)
def test_what_is_no_store_is_refused(tmp_path: Path, make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        open_stores([make(tmp_path)])


def _of_a_grid(folder: Path) -> Path:
    """Records of one method at two points of its grid, as `lowshot tune` keeps them."""
    records = read_records(store(folder) / "results.jsonl")
    grid = [{k: v for k, v in r.items() if k != "task"} | {"unit": f"{r['unit']} {p}"} for p in "ab" for r in records]
    write_records(folder / "grid.jsonl", grid)
    return folder / "grid.jsonl"


def test_episodes_that_lack_an_entry_are_refused_by_name(tmp_path: Path) -> None:
    write_records(store(tmp_path) / "episodes.jsonl", [{"unit": "u", "unit_size": 1, "setup": "test"}])
    with pytest.raises(InputError, match=r"episodes\.jsonl lacks accuracy, method.* expected those of `lowshot run`"):
        open_stores([tmp_path])


def test_stores_are_reported_with_or_without_the_time_they_were_made(tmp_path: Path) -> None:
    records = read_records(store(tmp_path) / "results.jsonl")
    times = [None, "2026-01-02T03:04:05+0000", None, "2025-01-02T03:04:05+0000"]
    write_records(tmp_path / "results.jsonl", [{**r, "time": time} for r, time in zip(records, times, strict=True)])
    page = write_store_report([tmp_path], tmp_path / "out", ["all_top5"])
    assert "2026-01-02T03:04:05" in Page(page.read_text()).text


def _written(folder: Path, text: str) -> Path:
    (folder / "results.jsonl").write_text(text)
    return folder


def test_recipe_and_stores_do_not_mix(tmp_path: Path) -> None:
    a = str(store(tmp_path / "a"))
    for sources in ([a, "cifar100"], ["cifar100", a], [a, "seed=3"], ["cifar100", "no_such_store"]):
        with pytest.raises(InputError, match=f"{'cifar100' if 'cifar100' in sources and a in sources else ''}.*is no"):
            report_on(sources, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    store(folder / "a", "one", {"base/linear": 0.5})
    store(folder / "b", "two", {"base/linear": 0.6}, features="<b>others</b>", train={"backbone": "resnet50"})
    write_store_report([folder / "a", folder / "b"], folder / "out", ["all_top5"], paper=True)
    return folder / "out"


def test_the_report_of_stores_holds_the_numbers_of_its_tables(written: Path) -> None:
    records = together(written.parent / "a", written.parent / "b").records
    titles = {name: metric.title for name, metric in METRIC_TITLES.items()}
    text = (written / "tables.csv").read_text()
    assert text == to_csv(records, ["all_top5"])
    page = Page((written / "report.html").read_text())
    assert html_entries(page) == csv_entries(text, titles)
    assert markdown_entries((written / "tables.md").read_text().split("**Seconds**")[0]) == csv_entries(text, titles)
    assert (written / "figures" / "accuracy_all_top5.png").stat().st_size > 10_000


def test_the_page_of_stores_names_files_recipes_and_published_numbers(written: Path) -> None:
    page = Page((written / "report.html").read_text())
    for expected in (
        "one · two",
        "name: one",
        "name: two",
        "OTHER DATA",
        "Compared with the published tables",
        "67.17",
    ):
        assert expected in page.text
    assert str(written.parent / "a" / "results.jsonl") in page.text
    # The baselines of resnet10 and resnet50 are each compared with their own published row.
    lines = [row for _, rows in page.tables for row in rows if len(row) > 2 and row[2].startswith("ours")]
    assert [(row[0], row[2]) for row in lines] == [
        ("Baseline (ResNet-10)", "ours: base (one) · linear"),
        ("Baseline (ResNet-50)", "ours: base (two) · linear"),
    ]
    assert "43.02" in (written / "paper.md").read_text()


def test_the_terminal_shows_tables_notes_and_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = store(tmp_path / "a", "one")
    b = store(tmp_path / "b", "two", {"x/linear": 0.6}, experiments=3)
    report_on([str(a), str(b / "results.jsonl")], output=tmp_path / "out", metrics=["novel_top1"])
    printed = capsys.readouterr()
    assert "Top-1, novel classes" in printed.out
    assert "Top-5" not in printed.out
    assert "different numbers of experiments" in printed.err
    with pytest.raises(InputError, match="Did you mean 'all_top5'"):
        report_on([str(a)], output=tmp_path / "none", metrics=["al_top5"])
    assert not (tmp_path / "none").exists()


def test_a_store_is_one_line_of_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_json(store(tmp_path) / "results.jsonl", lines=True)
    assert frame.groupby("n_shots").all_top5.mean().tolist() == pytest.approx([0.515, 0.515])
