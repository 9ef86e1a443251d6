"""The commands of recognisers: what they print, their exit codes, and what a mistake leaves behind."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import pytest

from lowshot.cli import run
from lowshot.recogniser.answers import COLUMNS
from tests.recogniser.conftest import photo, tiny, write_photos

__all__ = ["tiny"]  # a fixture

pytestmark = pytest.mark.usefixtures("tiny")

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Path:
    """A working folder with photos and a recogniser of them."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", {"red": 4, "green": 3, "blue": 3})
    (tmp_path / "new").mkdir()
    for colour in ("red", "blue"):
        photo(colour, 60).save(tmp_path / "new" / f"{colour}.png")
    assert run(["teach", "colours", "photos"]) == 0
    capsys.readouterr()
    return tmp_path / "colours"


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_teaching_says_what_was_taught_and_how_well(colours: Path, capsys: Captured) -> None:
    photo("grey", 0).save("a.png")
    assert run(["teach", "colours", "--class", "grey", "a.png"]) == 0
    printed = capsys.readouterr().out
    assert "colours: 1 photo taught, 1 new class (grey); it knows 4 classes" in printed
    assert "by leave-one-out" in printed
    assert run(["teach", "colours", "photos"]) == 0
    done = capsys.readouterr()
    assert "nothing new; it knows 4 classes" in done.out
    assert done.err.count("left out: ") == 10


def test_of_many_repeated_photos_the_first_are_named_and_the_others_counted(
    colours: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lowshot.cli.teach.MOST_REPEATED", 3)
    assert run(["teach", "colours", "photos"]) == 0
    named = ["blue/00.png is the same file", "blue/01.png is", "blue/02.png is", "7 photos more, taught before"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    for line, start in zip(lines, named):
        assert line.startswith(f"left out: {start}")


def test_one_photo_and_one_class_are_singular(colours: Path, capsys: Captured) -> None:
    photo("grey", 0).save("a.png")
    assert run(["teach", "single", "--class", "grey", "a.png"]) == 0
    assert "single: 1 photo taught, 1 new class (grey); it knows 1 class\n" in capsys.readouterr().out
    assert run(["teach", "single", "--class", "grey", "a.png"]) == 0
    assert "nothing new; it knows 1 class\n" in capsys.readouterr().out
    assert run(["check", "single"]) == 0
    assert capsys.readouterr().out.startswith("1 photo of 1 class; expected accuracy")


def test_a_photo_that_is_taught_without_a_class_asks_for_its_name(colours: Path, capsys: Captured) -> None:
    assert run(["teach", "colours", "new/red.png"]) == 2
    assert "new/red.png is a single photo" in " ".join(capsys.readouterr().err.split())


def test_answers_are_lines_or_files_of_the_same_columns(colours: Path, capsys: Captured) -> None:
    assert run(["predict", "colours", "new"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["new/blue.png:", "blue"], ["new/red.png:", "red"]]
    assert "nearest: blue/" in lines[0]
    for name in ("answers.csv", "answers.jsonl"):
        assert run(["predict", "colours", "new", "-o", name]) == 0
        assert f"{name}: 2 photos" in capsys.readouterr().out
    with open("answers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert tuple(rows[0]) == tuple(found[0]) == COLUMNS
    assert [row["class"] for row in rows] == [one["class"] for one in found] == ["blue", "red"]
    assert [row["unknown"] for row in rows] == [str(one["unknown"]).lower() for one in found]


def test_a_bad_photo_is_a_row_with_its_error_and_the_others_are_answered(colours: Path, capsys: Captured) -> None:
    Path("new/bad.jpg").write_bytes(b"no photo")
    assert run(["predict", "colours", "new", "-o", "answers.jsonl"]) == 0
    bad, *good = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert bad["class"] is None
    assert "bad.jpg" in bad["error"]
    assert [one["class"] for one in good] == ["blue", "red"]
    assert "1 of 3 photos could not be read" in capsys.readouterr().err
    assert run(["predict", "colours", "new/bad.jpg"]) == 2
    assert "no photo could be read" in capsys.readouterr().err


def test_an_unknown_photo_has_no_probability_in_its_line(colours: Path, capsys: Captured) -> None:
    assert run(["teach", "colours", "--unknown-at", "1"]) == 0
    capsys.readouterr()
    assert run(["predict", "colours", "new/red.png"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("new/red.png: unknown, most like red")
    assert "%" not in printed


def test_lines_name_a_bad_photo_once(colours: Path, capsys: Captured) -> None:
    Path("new/bad.jpg").write_bytes(b"")
    assert run(["predict", "colours", "new"]) == 0
    error = capsys.readouterr().err
    assert error == "new/bad.jpg: image new/bad.jpg is empty: its file has no bytes\n1 of 3 photos could not be read\n"
    assert run(["predict", "colours", "new/bad.jpg"]) == 2
    assert capsys.readouterr().err.count("is empty") == 1


def test_classes_are_renamed_moved_forgotten_removed_and_all_of_it_undone(colours: Path, capsys: Captured) -> None:
    def listed(*arguments: str) -> dict[str, int]:
        assert run(["classes", "colours", *arguments]) == 0
        lines = capsys.readouterr().out.split("last changes:")[0].splitlines()
        return {line.split()[0]: int(line.split()[1]) for line in lines if "photo" in line and ":" not in line}

    start = {"blue": 3, "green": 3, "red": 4}
    assert listed() == start
    assert listed("--rename", "red=crimson") == {"blue": 3, "crimson": 4, "green": 3}
    assert listed("--move", "blue/00.png=green") == {"blue": 2, "crimson": 4, "green": 4}
    assert listed("--forget", "crimson/01.png") == {"blue": 2, "crimson": 3, "green": 4}
    assert listed("--remove", "blue") == {"crimson": 3, "green": 4}
    for _ in range(3):
        listed("--undo")
    assert listed("--undo") == start


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rename", "red"], "expected OLD=NEW"),
        (["--rename", "rod=x"], "has no class 'rod'"),
        (["--rename", "red=a/b"], "slash"),
        (["--rename", "red=blue"], "exists already"),
        (["--remove", "pink"], "has no class 'pink'"),
        (["--move", "red/77.png=green"], "no taught photos called 'red/77.png'"),
        (["--forget", "red"], "no taught photos called 'red'"),
        (["--undo", "--remove", "red"], "--undo goes alone"),
    ],
)
def test_a_change_that_cannot_be_leaves_the_recogniser_as_it_was(
    arguments: list[str], message: str, colours: Path, capsys: Captured
) -> None:
    before = contents(colours)
    assert run(["classes", "colours", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert contents(colours) == before


def test_a_check_is_read_by_people_and_programs(colours: Path, capsys: Captured) -> None:
    photo("blue", 70).save("odd.png")
    assert run(["teach", "colours", "--class", "red", "odd.png"]) == 0
    capsys.readouterr()
    assert run(["check", "colours"]) == 0
    printed = capsys.readouterr().out
    assert "red/odd.png looks like blue" in printed
    assert 'lowshot classes colours --move "red/odd.png=blue"' in printed
    assert run(["check", "colours", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["photos"], report["classes"]) == (11, 3)
    assert [one["photos"] for one in report["findings"] if one["kind"] == "wrong label"] == [["red/odd.png"]]


def test_what_mends_a_photo_names_it_though_another_has_the_same_name(colours: Path, capsys: Captured) -> None:
    assert run(["classes", "colours", "--move", "blue/00.png=red"]) == 0  # where there is a red/00.png already
    capsys.readouterr()
    assert run(["check", "colours"]) == 0
    command = next(line for line in capsys.readouterr().out.splitlines() if "--move" in line)
    assert run(shlex.split(command)[1:]) == 0
    listed = capsys.readouterr().out
    assert "blue       3 photos" in listed
    assert "red        4 photos" in listed


def _bad_photos(folder: Path, kind: str) -> list[str]:
    """Photos that cannot be taught, of a kind; the arguments that name them."""
    bad = folder / "bad"
    if kind == "zero photos":
        (bad / "red").mkdir(parents=True)
    elif kind == "no class folders":
        bad.mkdir()
        photo("red", 9).save(bad / "a.png")
    elif kind == "names that differ by case":
        write_photos(bad, {"Pink": 1, "pink": 1})
    elif kind == "a name of 300 letters":
        photo("red", 9).save("a.png")
        return ["--class", "x" * 300, "a.png"]
    elif kind == "control characters":
        photo("red", 9).save("a.png")
        return ["--class", "a\x1b[31m", "a.png"]
    elif kind == "a slash":
        photo("red", 9).save("a.png")
        return ["--class", "a/b", "a.png"]
    elif kind != "missing":
        write_photos(bad, {"red": 1}, first=90)
        content = (bad / "red" / "90.png").read_bytes()
        (bad / "red" / "x.png").write_bytes(content[: len(content) // 2] if kind == "truncated" else b"no image")
    return ["bad"]


BAD = {
    "not an image": "x.png",
    "truncated": "x.png",
    "zero photos": "bad",
    "missing": "photos bad do not exist",
    "no class folders": "bad holds photos but no class folders",
    "names that differ by case": "differ by case",
    "a name of 300 letters": "has 300 characters",
    "control characters": "control characters",
    "a slash": "slash",
}


@pytest.mark.parametrize("kind", BAD)
def test_photos_that_cannot_be_taught_are_named_and_change_nothing(kind: str, colours: Path, capsys: Captured) -> None:
    arguments = _bad_photos(Path(), kind)
    before = contents(colours)
    for target in ("colours", "other"):
        assert run(["teach", target, *arguments]) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert BAD[kind] in error
        assert "Traceback" not in error
    assert contents(colours) == before
    assert not Path("other").exists()  # a first teach that fails leaves no folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "lowshot-recogniser-2"}, "update lowshot"),
        ({"temperature": -1.0}, "is not as lowshot writes it: temperature"),
        ({"removed": [99]}, "removed must name different rows"),
        ({"extra": 1}, "extra"),
        (None, "recogniser.json"),
    ],
)
def test_a_damaged_state_is_refused_by_every_command(
    change: dict[str, object] | None, message: str, colours: Path, capsys: Captured
) -> None:
    path = colours / "recogniser.json"
    text = path.read_text()
    path.write_text(text[: len(text) // 2] if change is None else json.dumps({**json.loads(text), **change}))
    before = contents(colours)
    for arguments in (["predict", "colours", "new"], ["classes", "colours"], ["check", "colours"]):
        assert run(arguments) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    assert run(["teach", "colours", "photos"]) == 2
    assert contents(colours) == before


def test_shots_of_another_width_or_cut_short_are_refused(colours: Path, capsys: Captured) -> None:
    import h5py

    path = colours / "shots.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert run(["predict", "colours", "new"]) == 2
    assert "shots.h5 is missing, truncated" in " ".join(capsys.readouterr().err.split())
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        narrow = file["features"][:, :5]
        del file["features"]
        file["features"] = narrow
    assert run(["teach", "colours", "photos"]) == 2
    assert "it belongs to another recogniser" in " ".join(capsys.readouterr().err.split())


def test_what_is_no_recogniser_is_named_with_what_to_do(colours: Path, capsys: Captured) -> None:
    for arguments in (["predict", "nothing", "new"], ["classes", "photos"], ["export", "photos", "--onnx", "a.onnx"]):
        assert run(arguments) == 2
        assert "lowshot teach" in " ".join(capsys.readouterr().err.split())
    assert run(["predict", "colours", "nothing.jpg"]) == 2
    assert "nothing.jpg does not exist" in capsys.readouterr().err
    assert run(["predict", "colours", "new", "-o", "answers.txt"]) == 2
    assert "expected a file that ends in .csv" in " ".join(capsys.readouterr().err.split())
    assert run(["teach", "photos", "photos"]) == 2
    assert "holds other files" in " ".join(capsys.readouterr().err.split())


def test_suggestions_are_names_of_different_photos(colours: Path, capsys: Captured) -> None:
    write_photos(Path("drawn"), {"grey": 2})
    shutil.copy("drawn/grey/00.png", "drawn/grey/again.png")
    assert run(["suggest", "none_yet", "drawn", "-n", "5"]) == 0
    done = capsys.readouterr()
    names = done.out.split()
    assert names
    assert len(set(names)) == len(names)
    assert not {"drawn/grey/00.png", "drawn/grey/again.png"} <= set(names)
    assert f"no more than {len(names)} different photos" in done.err
    assert not Path("none_yet").exists()
    assert run(["suggest", "colours", "photos", "-n", "5"]) == 0
    assert not capsys.readouterr().out  # all of them are taught
