"""Names and paths in a recipe are data: what cannot be a file's name is refused, and a path is the text of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lowshot import progress
from lowshot.cli import run
from lowshot.errors import InputError
from lowshot.recipe import load_recipe
from lowshot.recipe.schema import Recipe
from lowshot.recipe.texts import LONGEST_NAME, is_name
from lowshot.recipe.tree import path_keys

GLYPHS = {"dataset": "glyphs", "options": {"classes": 8, "train_per_class": 2, "test_per_class": 1, "image_size": 16}}
MINIMAL: dict[str, Any] = {
    "name": "tiny",
    "data": GLYPHS,
    "split": {"experiments": 1, "max_shots": 1},
    "evaluate": {"n_shots": [1]},
    "representations": {"baseline": {}},
}

HOSTILE = [
    "../../../ESC",
    "/tmp/ESC",
    "lr/0.1",
    "a\\b",
    "a" * 300,
    "[/]",
    "[bold]x",
    "train:b:",
    ".",
    "..",
    ".hidden",
    "-o",
    "",
    " ",
    "a b",
    "a\nb",
    "a\n",
    "\x1b[31mred",
    "a\0b",
    "ü",
    "${name}",
]

#: A section with a key of the user's own, by the place of that key.
EVALUATE = MINIMAL["evaluate"]
PLACES = {
    "representations": lambda name: {"representations": {name: {}}},
    "generators": lambda name: {"generators": {name: {}}},
    "evaluate.methods": lambda name: {"evaluate": {**EVALUATE, "methods": {name: {}}}},
    "evaluate.generations": lambda name: {
        "generators": {"g": {}},
        "evaluate": {**EVALUATE, "generations": {name: {"generator": "g", "n_per_class": 5}}},
    },
    "name": lambda name: {"name": name},
}


@pytest.fixture(scope="module", autouse=True)
def glyph_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOWSHOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def write(folder: Path, text: str = "", **sections: Any) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **sections}) + text)
    return path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name)[:20])
def test_a_name_that_is_no_file_name_is_refused_in_one_line(tmp_path: Path, place: str, name: str) -> None:
    if name == "${name}":
        name = "\\${name}"
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path, **PLACES[place](name)))
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("has mistakes:")
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{place}: ")
    assert "is no name: expected at most 80 letters" in lines[0]
    assert len(lines[0]) < 300
    assert "\x1b" not in lines[0]


@given(st.text(max_size=100))
def test_a_name_is_one_part_of_a_path(name: str) -> None:
    if is_name(name):
        assert Path("a", name).parent == Path("a")
        assert Path("a", name).name == name
        assert len(f".{name}_{name}.x.part") < 255
        assert name == name.strip()
        assert not name.startswith((".", "-"))


def test_names_of_the_longest_length_are_names() -> None:
    assert is_name("a" * LONGEST_NAME)
    assert not is_name("a" * (LONGEST_NAME + 1))


@pytest.mark.parametrize("section", ["representations", "generators", "evaluate.methods"])
def test_names_that_differ_by_case_alone_are_refused(tmp_path: Path, section: str) -> None:
    sections: dict[str, Any] = {section: {"SGM": {}, "sgm": {}}}
    if section == "evaluate.methods":
        sections = {"evaluate": {**EVALUATE, "methods": {"SGM": {}, "sgm": {}}}}
    with pytest.raises(InputError, match=rf"{section}: SGM and sgm differ by case alone"):
        load_recipe(write(tmp_path, **sections))


@pytest.mark.parametrize("key", ["2024", "1e5", "1.5", "no", "true"])
def test_a_name_that_yaml_reads_as_something_else_is_named_with_the_cure(tmp_path: Path, key: str) -> None:
    path = tmp_path / "tiny.yaml"
    head = "name: tiny\ndata: {dataset: glyphs}\nrepresentations:\n"
    path.write_text(f"{head}  {key}: {{}}\n")
    with pytest.raises(InputError, match="is no name: write it in quotes"):
        load_recipe(path)
    path.write_text(f"{head}  '{key}': {{}}\n")
    assert list(load_recipe(path).representations) == [key]


def test_products_that_meet_are_refused(tmp_path: Path) -> None:
    generation = {"generator": "g", "n_per_class": 5}
    evaluate = {**EVALUATE, "methods": {"x": {}, "x_a": {}}, "generations": {"a_b": generation, "b": generation}}
    with pytest.raises(InputError, match="method x_a_b is made twice"):
        load_recipe(write(tmp_path, generators={"g": {}}, evaluate=evaluate))


def test_labels_that_tables_could_not_tell_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="representations: a and b have the label 'a', so tables could not tell them"):
        load_recipe(write(tmp_path, representations={"a": {}, "b": {"label": "a"}}))
    methods = {"m": {"label": "Same"}, "n": {"label": "Same"}}
    with pytest.raises(InputError, match=r"evaluate\.methods: m and n have the label 'Same'"):
        load_recipe(write(tmp_path, evaluate={**EVALUATE, "methods": methods}))


def test_a_representation_does_not_take_the_place_of_replaced_trainings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"representations\.replaced: .* kept in a folder of this name"):
        load_recipe(write(tmp_path, representations={"replaced": {}}))


def test_nothing_is_written_outside_the_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    for name in ("../../ESC", str(tmp_path / "ESC")):
        path = write(inside, representations={name: {}})
        for command in (["validate", str(path)], ["split", str(path)], ["run", str(path), "--dry-run"]):
            assert run(command) == 2
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["tiny.yaml"]


PATH_TEXTS = [
    "null",
    "~null",
    "${oc.env:HOME}",
    "123",
    "1e5",
    "no",
    "a: b",
    "[x",
    "{}",
    "*x",
    "a b",
    "a{b}",
    "\\${x}",
    "'q'",
]


@pytest.mark.parametrize("text", PATH_TEXTS)
def test_an_output_option_is_a_path_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path)
    assert run(["split", str(path), "-o", text]) == 0
    assert (tmp_path / text / "split" / "splitfile_1.json").is_file()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([text, "tiny.yaml"])
    again = load_recipe(tmp_path / text / "recipe.yaml")  # what was written says the same
    assert again.folder == Path(text)
    assert run(["split", str(path), "-o", text, "--force"]) == 0


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = write(tmp_path, output="~/x", split={"file": "~/s.json", "experiment_files": "~/e{:d}.json"})
    recipe = load_recipe(path)
    assert recipe.folder == tmp_path / "home" / "x"
    assert recipe.split.file == tmp_path / "home" / "s.json"
    assert recipe.split.experiment_files == str(tmp_path / "home" / "e{:d}.json")
    assert load_recipe(path, ["output=~/y"]).folder == tmp_path / "home" / "y"
    assert load_recipe(path, values={"output": "~"}).folder == tmp_path / "home"


YAML_TEXTS = ["2024", "1e5", "no", "yes", "on", "2024-01-01", "0x1F", "1_000", ".5", "12:30:45", "010"]


@pytest.mark.parametrize("text", YAML_TEXTS)
def test_a_path_in_a_recipe_is_the_text_that_stands_there(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"name: tiny\noutput: {text}\ndata: {{dataset: glyphs, root: {text}}}\nplugins: []\n"
        f"split: {{file: {text}}}\n"
        f"representations: {{a: {{features: {{train: {text}, test: {text}}}}}, b: {{checkpoint: {text}}}}}\n"
    )
    changes = [f"output={text}", f"data.root={text}", f"representations.b.checkpoint={text}"]
    for overrides in ([], changes):
        with mock.patch("lowshot.recipe.reading.registry_complaints", return_value=[]):
            recipe = load_recipe(path, overrides)
        found = [recipe.output, recipe.data.root, recipe.split.file, recipe.representations["b"].checkpoint]
        assert found == [Path(text)] * 4
        assert recipe.representations["a"].features == {"train": Path(text), "test": Path(text)}
    assert load_recipe(write(tmp_path, output="x"), ["output=null"]).output is None


def test_every_path_of_the_schema_is_known_as_one() -> None:
    assert set(path_keys(Recipe)) == {
        ("output",),
        ("plugins", "*"),
        ("data", "root"),
        ("split", "file"),
        ("split", "experiment_files"),
        ("representations", "*", "checkpoint"),
        ("representations", "*", "features", "*"),
        ("representations", "*", "features", "*", "features"),
        ("representations", "*", "features", "*", "labels"),
    }


@pytest.mark.parametrize("value", ["", "a\0b", ["x"], {"a": "b"}])
def test_what_is_no_path_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(InputError, match="output: expected a path, got "):
        load_recipe(write(tmp_path, output=value))


def test_names_are_printed_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    console = Console(file=said, emoji=False, highlight=False, soft_wrap=True, width=200, force_terminal=True)
    monkeypatch.setattr(progress, "console", console)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    progress.say("train:b: [/] [bold]x")
    with progress.progress("[/] :b:", 2) as tick:
        tick(1, "[/] :b:")
    assert "train:b: [/] [bold]x" in said.getvalue()
    assert progress.Console is Console


def test_the_table_of_a_dry_run_prints_names_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "[red]:b:[/red] [x"
    assert run(["run", str(write(tmp_path)), "--dry-run", "-o", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"tiny → {folder}" in printed
    assert "train:baseline" in printed


def test_without_a_home_a_tilde_is_refused_and_no_folder_of_that_name_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", mock.Mock(side_effect=KeyError))
    with pytest.raises(InputError, match="output: '~/x' is in the home folder, and HOME is not set"):
        load_recipe(write(tmp_path, output="~/x"))
