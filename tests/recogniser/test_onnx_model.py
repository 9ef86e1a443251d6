"""Asking an exported recogniser: the same answers, without torch, and errors that name the file."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lowshot.cli import run
from lowshot.errors import InputError
from lowshot.recogniser import Recogniser
from lowshot.recogniser.answers import COLUMNS
from lowshot.recogniser.onnx_model import OnnxRecogniser
from tests.recogniser.conftest import photo, write_photos

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def colours(tiny: None, tmp_path: Path) -> Recogniser:
    opened = Recogniser.create(tmp_path / "colours")
    opened.teach(write_photos(tmp_path / "photos", {"red": 4, "green": 3, "blue": 2}))
    opened.export_onnx(tmp_path / "colours.onnx")
    return opened


def test_answers_are_those_of_the_recogniser(colours: Recogniser, tmp_path: Path) -> None:
    queries = [photo(colour, 30 + i) for i, colour in enumerate(["red", "green", "blue", "grey"] * 20)]
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    mixed = [*queries[:40], tmp_path / "broken.jpg", np.asarray(queries[40]), *queries[41:]]
    exported = OnnxRecogniser(tmp_path / "colours.onnx")
    assert exported.classes == colours.classes
    for own, other in zip(colours.predict(mixed), exported.predict(mixed), strict=True):
        assert (own.file, own.class_, own.runner_up, own.unknown, own.error) == (
            other.file,
            other.class_,
            other.runner_up,
            other.unknown,
            other.error,
        )
        assert own.probability == pytest.approx(other.probability, abs=1e-3)
        assert (other.nearest, other.similarity) == (None, None)


def test_the_command_line_exports_and_asks(
    colours: Recogniser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", str(colours.folder), "--onnx", str(tmp_path / "again.onnx")]) == 0
    assert "3 classes" in capsys.readouterr().out
    new = write_photos(tmp_path / "new", {"red": 2}, first=50)
    assert run(["predict", str(tmp_path / "again.onnx"), str(new)]) == 0
    assert "red " in capsys.readouterr().out
    tables = []
    for source in (colours.folder, tmp_path / "again.onnx"):
        assert run(["predict", str(source), str(new), "-o", str(tmp_path / "answers.csv")]) == 0
        with open(tmp_path / "answers.csv") as file:
            tables.append(list(csv.DictReader(file)))
    assert [list(table[0]) for table in tables] == [list(COLUMNS)] * 2
    for own, other in zip(*tables):
        assert {own[name] == other[name] for name in ("file", "class", "runner_up", "unknown")} == {True}


def test_workers_answer_from_an_exported_file(colours: Recogniser, tmp_path: Path) -> None:
    new = write_photos(tmp_path / "new", {"red": 3}, first=50)
    output = tmp_path / "answers.jsonl"
    arguments = ["predict", str(tmp_path / "colours.onnx"), str(new), "-o", str(output), "--engine", "loky"]
    assert run([*arguments, "--workers", "1"]) == 0
    assert [json.loads(line)["class"] for line in output.read_text().splitlines()] == ["red"] * 3


def test_asking_imports_no_torch(colours: Recogniser, tmp_path: Path) -> None:
    write_photos(tmp_path / "new", {"red": 1}, first=50)
    program = (
        "import sys; from lowshot.cli import run; "
        f"code = run(['predict', {str(tmp_path / 'colours.onnx')!r}, {str(tmp_path / 'new')!r}]); "
        f"code += run(['predict', {str(tmp_path / 'colours.onnx')!r}, {str(tmp_path / 'new')!r}, "
        f"'-o', {str(tmp_path / 'a.csv')!r}]); "
        "sys.exit(code or ('torch' in sys.modules) or ('sklearn' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "red" in done.stdout


def edited(path: Path, change: Callable[[Any], None]) -> Path:
    graph = onnx.load(path)
    change(graph)
    path.write_bytes(graph.SerializeToString())
    return path


def set_metadata(graph: Any, **values: Any) -> None:
    about = json.loads(graph.metadata_props[0].value)
    graph.metadata_props[0].value = json.dumps({**about, **values})


def outside(graph: Any) -> None:
    tensor = graph.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="/etc/passwd")


DAMAGES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda graph: graph.ClearField("metadata_props"), "no recogniser"),
    (lambda graph: set_metadata(graph, format="lowshot-onnx-2"), "metadata that this version.*format"),
    (lambda graph: set_metadata(graph, unknown_at="never"), "metadata that this version.*unknown_at"),
    (lambda graph: set_metadata(graph, classes=["one"]), "inputs or outputs are not those"),
    (outside, "refers to other files"),
    (lambda graph: graph.graph.node.pop(0), "damaged"),
    (lambda graph: setattr(graph.graph.node[0], "domain", "evil"), "damaged"),
    (lambda graph: graph.graph.output.pop(0), "damaged"),
]


@pytest.mark.parametrize(("change", "message"), DAMAGES)
def test_a_foreign_or_damaged_file_is_named(
    colours: Recogniser, tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    path = edited(tmp_path / "colours.onnx", change)
    with pytest.raises(InputError, match=message) as caught:
        OnnxRecogniser(path).predict([photo("red", 1)])
    assert str(path) in str(caught.value)


def test_no_damaged_bytes_end_in_a_traceback(colours: Recogniser, tmp_path: Path) -> None:
    path = tmp_path / "colours.onnx"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for number in range(60):
        content = bytearray(whole)
        if number % 3:
            for place in rng.integers(len(content), size=3):
                content[place] = rng.integers(256)
        else:
            del content[rng.integers(len(content)) :]
        path.write_bytes(content)
        named = True
        try:
            OnnxRecogniser(path).predict([photo("red", 1)])
        except InputError as error:
            named = str(path) in str(error)
        assert named


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no graph")
    for name, message in (("missing.onnx", "does not exist"), ("text.onnx", "damaged or no ONNX file")):
        with pytest.raises(InputError, match=f"{name}.*{message}"):
            OnnxRecogniser(tmp_path / name)
