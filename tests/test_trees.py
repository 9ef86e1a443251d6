"""JSON and YAML: what a few bytes could unfold to is refused in a line, everything ordinary is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lowshot.errors import InputError
from lowshot.files import read_json
from lowshot.recipe import load_recipe
from lowshot.recipe.interpolation import check_interpolations
from lowshot.trees import MAX_DEPTH, parse_json, parse_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "value",
    [None, True, -1, 2**63, 1.5, "é\u4e2d\U0001f600", [], {"a": [1, {"b": None}]}, [[]] * 100_000],
)
def test_ordinary_json_is_read_as_it_is(value: Any) -> None:
    assert parse_json(json.dumps(value), "it") == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode(), "it") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 5000, "nested deeper than 50"),
        ("[" * 300 + "]" * 300, "nested deeper than 50"),
        ('{"a":' * 5000, "nested deeper than 50"),
        ("9" * 6000, "a whole number of 6000 digits"),
        (str(2**64), "a whole number of 20 digits"),
        ('[1, "\\ud800"]', "half of a surrogate pair"),
        ('{"\\udfff": 1}', "half of a surrogate pair"),
        ("[NaN]", "NaN, which is no finite number"),
        ("[-Infinity]", "no finite number"),
        ("[1e999]", "1e999, which is no finite number"),
        ("[1,", "line 1, column 4"),
        (b"\xff\xfe", "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
    ],
)
def test_json_that_code_stumbles_over_later_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"^it .*{message}"):
        parse_json(text, "it")


def test_json_may_be_as_deep_as_the_bound() -> None:
    parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "it")


@pytest.mark.parametrize(
    "text", ["a: 1\nb: [x, 1e-3, null]\nc: {d: 2024-01-01}", "a: &a [1, 2]\nb: *a\nc: {<<: {d: 1}}", "- 'é'", ""]
)
def test_ordinary_yaml_is_read_as_it_is(text: str) -> None:
    assert parse_yaml(text, "it") == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 5000, "nested deeper than 50"),
        ("\n".join("  " * n + "a:" for n in range(300)), "nested deeper than 50"),
        (LAUGHS, "more than 10000 values"),
        ("a: &a [1, *a]", "is within what it names"),
        ("a: " + "9" * 6000, "a number of 6000 digits"),
        ("a: 0x" + "f" * 6000, "a number of 6002 digits"),
        ('a: "\\ud800"', "half of a surrogate pair|invalid Unicode"),
        ("a: 2024-99-99", "not valid YAML: month must be"),
        ("a: [1", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a: " + "x" * 2**20, "at most 1048576 are read"),
        ("a: \ud800", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
    ],
)
def test_yaml_that_unfolds_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"(?s)^it .*{message}"):
        parse_yaml(text, "it")


def test_a_pipe_or_a_device_is_no_file(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", Path("/dev/zero"), tmp_path):
        with pytest.raises(InputError, match=f"{path} is a (device|folder), not a file"):
            read_json(path)


# ---------------------------------------------------------------------------------------------------- recipes


def recipe(folder: Path, text: str) -> Path:
    path = folder / "r.yaml"
    path.write_text(f"name: r\nrepresentations: {{a: {{}}}}\n{text}", encoding="utf-8")
    return path


def test_interpolations_of_keys_and_of_the_environment_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEED", "7")
    text = "seed: ${oc.env:SEED}\nreport: {title: '${name} ${split.experiments}'}\nsplit: {experiments: 3}"
    read = load_recipe(recipe(tmp_path, text))
    assert (read.seed, read.report.title) == (7, "r 3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("description: ${oc.create:'[1]'}", "another form than"),
        ("description: ${${name}}", "another form than"),
        ("description: ${description}", "refers to itself"),
        ("report: ${report}", "refers to itself"),
        (f"seed: {'9' * 6000}", "number of 6000 digits"),
        (LAUGHS, "more than 10000 values"),
        ("data: {options: " + "[" * 5000, "nested deeper"),
    ],
)
def test_a_recipe_cannot_unfold(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe(recipe(tmp_path, text))


@pytest.mark.parametrize("backwards", [False, True])
def test_interpolations_that_double_with_each_line_are_refused_early(backwards: bool) -> None:
    texts = {f"a{n}": f"${{a{n - 1}}}" * 2 for n in range(1, 100)} | {"a0": "xxxxxxxxxx"}
    lists: dict[str, Any] = {f"b{n}": [f"${{b{n - 1}}}"] * 2 for n in range(1, 100)} | {"b0": "x"}
    relative = {"c": {"d": {f"e{n}": f"${{.e{n - 1}}}${{..d.e{n - 1}}}" for n in range(1, 100)} | {"e0": "x"}}}
    for tree in (texts, lists, relative):
        items = list(tree.items())
        with pytest.raises(InputError, match="more than 1048576 characters with its interpolations"):
            check_interpolations(dict(reversed(items) if backwards else items), "it")


@pytest.mark.parametrize("override", ["a." * 5000 + "b=1", "seed=" + "9" * 6000, "data=" + "[" * 5000, "name=\ud800"])
def test_an_override_cannot_unfold_either(tmp_path: Path, override: str) -> None:
    with pytest.raises(InputError, match="override"):
        load_recipe(recipe(tmp_path, ""), [override])
