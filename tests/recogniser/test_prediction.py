"""Answers for many photos in a file: CSV, JSON lines, Parquet; resumed after a kill; on workers."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from pathlib import Path

import pytest

from lowshot.errors import InputError
from lowshot.recogniser import Answer, Recogniser, prediction
from lowshot.recogniser.answers import COLUMNS, write_csv, write_jsonl
from lowshot.recogniser.photos import photos_at
from tests.recogniser.conftest import photo, write_photos

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    opened = Recogniser.create(tmp_path / "colours")
    opened.teach(write_photos(tmp_path / "taught", {"red": 3, "green": 3}))
    write_photos(tmp_path / "new", {"red": 4, "green": 3}, first=50)
    (tmp_path / "new" / "red" / "bad.jpg").write_bytes(b"no photo")
    return tmp_path


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_format_has_the_same_answers(folder: Path) -> None:
    from pyarrow import parquet

    found = {}
    for suffix in ("csv", "jsonl", "parquet"):
        summary = prediction.predict_to_file(folder / "colours", [str(folder / "new")], folder / f"a.{suffix}")
        assert (summary.photos, summary.errors) == (8, 1)
    found["csv"] = rows_of(folder / "a.csv")
    found["jsonl"] = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
    found["parquet"] = parquet.read_table(folder / "a.parquet").to_pylist()
    assert [tuple(rows[0]) for rows in found.values()] == [COLUMNS] * 3
    assert found["jsonl"] == found["parquet"]
    for row, values in zip(found["csv"], found["jsonl"]):
        assert row["class"] == (values["class"] or "")
        assert row["probability"] == ("" if values["probability"] is None else str(values["probability"]))
        assert row["unknown"] == {True: "true", False: "false", None: ""}[values["unknown"]]
    assert [row["class"] for row in found["csv"]] == ["green"] * 3 + ["red"] * 4 + [""]
    assert "bad.jpg is not one of" in found["csv"][-1]["error"]
    assert not list(folder.glob(".a.*"))


def test_files_folders_and_zips_are_listed_in_order(folder: Path) -> None:
    with zipfile.ZipFile(folder / "z.zip", "w") as file:
        for name in ("b.png", "deep/a.png"):
            file.write(folder / "new" / "red" / "50.png", name)
    found = photos_at([folder / "z.zip", folder / "new" / "red" / "51.png", str(folder / "new" / "green")])
    assert len(found) == 6
    assert [one.name for one in found] == [
        f"{folder}/z.zip/b.png",
        f"{folder}/z.zip/deep/a.png",
        f"{folder}/new/red/51.png",
        *(f"{folder}/new/green/{n}.png" for n in (50, 51, 52)),
    ]
    assert found[1].open().image.size == (40, 40)
    assert found[-1].name == found[5].name
    with pytest.raises(InputError, match="nowhere does not exist"):
        photos_at([folder / "nowhere"])


def test_an_interrupted_call_goes_on_where_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "PART", 2)
    prediction.predict_to_file(folder / "colours", [str(folder / "new")], folder / "whole.csv")
    real, calls = prediction._write_part, []

    def dies(opened: Recogniser, photos: list, path: Path, *tick: object) -> None:
        calls.append(path.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(opened, photos, path, *tick)

    monkeypatch.setattr(prediction, "_write_part", dies)
    with pytest.raises(KeyboardInterrupt):
        prediction.predict_to_file(folder / "colours", [str(folder / "new")], folder / "a.csv")
    assert not (folder / "a.csv").exists()
    prediction.predict_to_file(folder / "colours", [str(folder / "new")], folder / "a.csv")
    assert len(calls) == 5
    assert (folder / "a.csv").read_bytes() == (folder / "whole.csv").read_bytes()


def test_answers_are_of_the_present_state(folder: Path) -> None:
    parts = folder / ".a.csv.parts"
    opened = Recogniser.load(folder / "colours")
    photos = photos_at([str(folder / "new")])
    prediction._prepare(parts, opened, photos)
    prediction._write_part(opened, photos[:8], prediction._part(parts, 0))
    opened.rename("red", "crimson")
    prediction.predict_to_file(folder / "colours", [str(folder / "new")], folder / "a.csv")
    assert {row["class"] for row in rows_of(folder / "a.csv")} == {"green", "crimson", ""}


def test_only_errors_are_an_error(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no photo could be read: image .*bad.jpg"):
        prediction.predict_to_file(folder / "colours", [str(folder / "new" / "red" / "bad.jpg")], folder / "a.csv")


def test_the_ending_of_the_output_is_checked_first(folder: Path) -> None:
    with pytest.raises(InputError, match=r"a\.txt: expected a file that ends in \.csv, \.jsonl or \.parquet"):
        prediction.predict_to_file(folder / "colours", [str(folder / "new")], folder / "a.txt")


def test_cells_are_no_formulas_and_lines_have_no_control_characters(tmp_path: Path) -> None:
    answer = Answer("=cmd|x", "-1+1", 0.5, "@a", 0.25, False, "+a/\x1b[31m.jpg", 0.123456, None)
    with open(tmp_path / "a.csv", "w", newline="") as out:
        write_csv([answer], out)
    (row,) = rows_of(tmp_path / "a.csv")
    assert row["file"].startswith("'=")
    assert row["class"].startswith("'-")
    assert row["runner_up"].startswith("'@")
    assert "\x1b" not in row["nearest"]
    assert row["similarity"] == "0.1235"
    with open(tmp_path / "a.jsonl", "w") as out:
        write_jsonl([answer, Answer("\udc80.jpg", error="x")], out)
    assert [json.loads(line)["unknown"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [False, None]


def test_memory_holds_names_and_not_photos(folder: Path) -> None:
    many = folder / "many"
    many.mkdir()
    photo("red", 0).save(many / "0.png")
    for number in range(1, 300):
        os.link(many / "0.png", many / f"{number}.png")
    opened = Recogniser.load(folder / "colours")
    assert sum(answer.class_ == "red" for answer in opened.answers(photos_at([many]))) == 300
