"""A newcomer finds the way from ``lowshot evaluate`` to an accuracy in few files, and CONTRIBUTING.md lists them."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from unittest import mock

import lowshot
from lowshot.benchmark.metrics import TopKRanks
from lowshot.cli import run
from tests.pipeline.recipes import write_features_recipe

ROOT = Path(lowshot.__file__).parent
MOST_FILES, MOST_LINES = 11, 1900

#: The entry point, which every command has.
ENTRY = {"cli/__init__.py", "exits.py"}


def listed() -> list[str]:
    page = (ROOT.parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    return re.findall(r"^\| `([a-z_/]+\.py)` \|", page.split("## How a number is made")[1], re.MULTILINE)


def test_the_files_on_the_way_to_an_accuracy_are_few_and_short() -> None:
    files = listed()
    assert len(files) <= MOST_FILES
    assert sum(len((ROOT / file).read_text("utf-8").splitlines()) for file in files) <= MOST_LINES


def test_no_other_file_is_on_the_stack_when_accuracies_are_computed(tmp_path: Path) -> None:
    recipe = write_features_recipe(tmp_path, {"plain": {"classifier": "nearest_mean"}})
    seen: set[str] = set()
    accuracies = TopKRanks.accuracies

    def spy(ranks: TopKRanks, bias: float | None = None) -> dict[str, float]:
        for frame in traceback.extract_stack():
            if (path := Path(frame.filename)).is_relative_to(ROOT):
                seen.add(path.relative_to(ROOT).as_posix())
        return accuracies(ranks, bias)

    assert run(["split", str(recipe)]) == 0
    with mock.patch.object(TopKRanks, "accuracies", spy):
        assert run(["evaluate", str(recipe), "--engine", "serial"]) == 0
    assert {"cli/stages.py", "benchmark/protocol.py"} < seen
    assert seen - ENTRY <= set(listed())
