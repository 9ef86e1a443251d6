"""Names that no file can have, in place of each path that a user gives: a line, never an exception of the system's."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lowshot
from lowshot import files
from lowshot.benchmark import ResultStore
from lowshot.classifiers.gaussian_text import read_text_embeddings
from lowshot.classifiers.persistence import load_classifier
from lowshot.compat.formats.recognise import recognise
from lowshot.data import ClassSplit, build_dataset
from lowshot.data.experiment_files import read_draw
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.hallucination import Generator
from lowshot.pipeline.report_command import is_store
from lowshot.pipeline.validation import validate_recipe
from lowshot.plugins import import_plugin
from lowshot.recipe.reading import find_recipe
from lowshot.report.stores import open_stores
from lowshot.representation.checkpoints import load_backbone

NAMES = {
    "a long name": "a" * 300,
    "a long path": "b/" * 3000 + "c",
    "a NUL": "a\0b",
    "half of a surrogate pair": "a\ud800",
    "a loop of links": "loop",
    "below a loop of links": "loop/x",
    "below a file": "file/x",
    "nothing": "missing",
}
READERS: dict[str, Callable[[str], Any]] = {
    "features": FeatureStore.open,
    "split": ClassSplit.from_json,
    "experiments": read_draw,
    "classifier": load_classifier,
    "generator": Generator.load,
    "checkpoint": load_backbone,
    "recipe": find_recipe,
    "plug-in": lambda path: import_plugin(f"{path}.py"),
    "result stores": lambda path: open_stores([path]),
    "conversion": recognise,
    "text embeddings": read_text_embeddings,
    **{
        f"data set {name}": lambda path, name=name: build_dataset(name, part="train", root=path)  # type: ignore[misc]
        for name in ("auto", "image_folder", "image_zip", "json_list", "cifar10", "lsun")
    },
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    Path("file").write_text("x")
    return tmp_path


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_no_name_ends_a_reader_in_an_error_of_the_systems(reader: Callable[[str], Any], name: str) -> None:
    with pytest.raises(InputError):
        reader(name)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_name_ends_a_question_in_an_error(name: str) -> None:
    assert not files.is_file(name)
    assert not files.is_folder(name)
    assert not files.exists(name)
    assert not is_store(name)
    assert ResultStore(name).records == []


RECIPE = """
name: hostile
data: {dataset: image_folder, root: PHOTOS, options: {test_per_class: 1}}
split: {base: 2, novel: 2, file: SPLIT, experiment_files: EXPERIMENTS}
train: {backbone: resnet10, epochs: 1}
representations: {a: {features: {train: FEATURES, test: FEATURES}}, b: {checkpoint: CHECKPOINT}}
generators: {given: {generator: difference, file: GENERATOR}}
evaluate: {methods: {linear: {classifier: logistic}}}
output: OUTPUT
plugins: [PLUGIN.py]
"""


@pytest.mark.parametrize("name", [NAMES["a long name"], NAMES["a loop of links"], NAMES["below a file"]])
@pytest.mark.parametrize("place", re.findall(r"\b[A-Z]{5,}\b", RECIPE))
def test_no_path_of_a_recipe_ends_in_an_error_of_the_systems(place: str, name: str) -> None:
    Path("recipe.yaml").write_text(RECIPE.replace(place, name))
    Path("PLUGIN.py").write_text("")
    with pytest.raises(InputError):
        validate_recipe("recipe.yaml")


def test_a_name_as_long_as_the_system_allows_is_written(folder: Path) -> None:
    name = "é" * 120 + ".json"
    files.write_json(name, [1])
    assert files.read_json(name) == [1]
    with pytest.raises(InputError, match="File name too long"):
        files.require_writable("a" * 300, "--outfile")


def test_every_question_about_a_path_can_answer_for_any_name() -> None:
    asked = re.compile(r"(\w+)\.(?:is_file|is_dir|exists|resolve)\(\)")
    exceptions = {"info", "entry"}  # a member of a zip, an entry of os.scandir
    root = Path(lowshot.__file__).parent
    found = {
        f"{path.relative_to(root)}: {match[0]}"
        for path in root.rglob("*.py")
        for match in asked.finditer(path.read_text("utf-8"))
        if match[1] not in exceptions
    }
    assert not found, f"lowshot.files has is_file, is_folder, exists and resolved: {found}"
