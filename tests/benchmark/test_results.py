"""Stores of results: tasks are there with all their records or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lowshot.benchmark import ResultStore
from lowshot.benchmark.results import read_records, write_records
from lowshot.errors import InputError


def task(name: str, size: int = 3) -> list[dict]:
    """The records of one task."""
    return [
        {"unit": name, "unit_size": size, "experiment": e, "all_top5": e / 7, "method": "naïve"}
        for e in range(1, size + 1)
    ]


def test_what_is_added_is_found_by_this_and_by_later_stores(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "new" / "r.jsonl")
    assert store.records == []
    assert store.add(task("a")) == task("a")
    store.add(task("b", 1))
    for reader in (store, ResultStore(tmp_path / "new" / "r.jsonl")):
        assert reader.records == task("a") + task("b", 1)
        assert reader.find("b") == task("b", 1)
        assert reader.find("c") is None


def test_a_folder_holds_results_jsonl(tmp_path: Path) -> None:
    ResultStore(tmp_path / "runs").add(task("a"))
    assert ResultStore(tmp_path / "runs" / "results.jsonl").records == task("a")


def test_every_line_is_a_record_by_itself(tmp_path: Path) -> None:
    ResultStore(tmp_path).add(task("a"))
    lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == task("a")


def test_a_task_cut_off_anywhere_is_ignored_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    ResultStore(path).add(task("a"))
    whole = path.stat().st_size
    ResultStore(path).add(task("b"))
    written = path.read_bytes()
    for size in {*range(whole, len(written), 17), whole + 1, len(written) - 2}:
        path.write_bytes(written[:size])
        store = ResultStore(path)
        assert store.records == task("a")
        assert store.find("b") is None
        store.add(task("b"))
        assert path.read_bytes() == written


def test_a_last_line_without_its_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    ResultStore(path).add(task("a"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert read_records(path) == task("a")
    store = ResultStore(path)
    assert store.records == task("a")
    store.add(task("b"))
    assert path.read_bytes().startswith(whole)
    assert ResultStore(path).records == task("a") + task("b")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("unit_size", "2", '"2", but a whole number from 1 is expected'),
        ("unit_size", 0, "whole number from 1"),
        ("unit_size", True, "whole number from 1"),
        ("unit", ["a"], "text is expected"),
        ("n_shots", "1", "whole number from 1"),
        ("experiment", 1.5, "whole number from 1"),
        ("method", None, "text is expected"),
        ("all_top5", "0.5", "a number or null"),
        ("training", 0, "whole number from 1"),
        ("top1_by_class", 3, "lists of whole numbers from 0"),
        ("answers", 3, "text is expected"),
    ],
)
def test_an_entry_of_the_wrong_type_is_named(tmp_path: Path, key: str, value: object, expected: str) -> None:
    write_records(tmp_path / "r.jsonl", [*task("a", 1), {**task("b", 1)[0], key: value}])
    for read in (ResultStore, read_records):
        with pytest.raises(InputError, match=rf"r\.jsonl: line 2: {key} is .*{expected}"):
            read(tmp_path / "r.jsonl")


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("top5_by_class", [1, -1], r"top5_by_class\.1 is -1"),
        ("queries_by_class", [1.5], r"queries_by_class\.0 is 1\.5"),
        ("confusions", [[1, 2, 3]], r"confusions\.0 is \[1, 2, 3\]"),
        ("answered_as", {"base": [1, 2, 3]}, r"answered_as\.novel is"),
        ("classes", {"base": [1], "novel": "all"}, r"classes\.novel is"),
    ],
)
def test_a_wrong_count_is_named_by_its_place(tmp_path: Path, key: str, value: object, place: str) -> None:
    write_records(tmp_path / "r.jsonl", [{**task("a", 1)[0], key: value}])
    with pytest.raises(InputError, match=rf"r\.jsonl: line 1: {place}.* lists of whole numbers from 0"):
        read_records(tmp_path / "r.jsonl")


def test_only_the_tasks_that_are_kept_stay(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    for name in "abc":
        store.add(task(name))
    store.keep(["c", "a", "unknown"])
    assert store.records == ResultStore(tmp_path).records == task("a") + task("c")


def test_what_json_cannot_hold_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.add(task("a"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.add([{**task("b", 1)[0], "all_top5": float("nan")}])
    assert ResultStore(tmp_path).records == store.records == task("a")


@pytest.mark.parametrize("line", ["nonsense", "[1]", "1", '{"other": 1}'])
def test_foreign_lines_are_refused_by_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    write_records(path, task("a"))
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"r\.jsonl: line 4 is not a record"):
        ResultStore(path)


def test_a_file_of_several_methods_keeps_a_task_that_two_of_them_share(tmp_path: Path) -> None:
    other = [{**record, "method": "the same under another name"} for record in task("a")]
    write_records(tmp_path / "r.jsonl", task("a") + other + task("b", 1))
    assert read_records(tmp_path / "r.jsonl") == task("a") + other + task("b", 1)


def test_records_of_a_torn_file_are_those_of_whole_tasks(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    write_records(path, task("a") + task("b"))
    path.write_bytes(path.read_bytes()[:-5])
    assert read_records(path) == task("a")
    (tmp_path / "log.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(InputError, match="line 1 is not a record"):
        read_records(tmp_path / "log.jsonl")
    with pytest.raises(InputError, match="does not exist"):
        read_records(tmp_path / "none.jsonl")
