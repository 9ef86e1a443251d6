"""Methods that are measured on some representations only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe
from tests.pipeline.recipes import due, features_files, records, run_recipe, write_features_recipe

GENERATORS = {"difference": {"generator": "difference"}}


def methods(*only: str) -> dict[str, Any]:
    some = {"representations": list(only)} if only else {}
    made = {"classifier": "ridge", "generator": "difference", "n_per_class": 5}
    return {"mean": {"classifier": "nearest_mean"}, "made": {**made, **some}}


def write(folder: Path, *only: str) -> Path:
    representations = {key: {"features": features_files(folder / key)} for key in ("one", "two")}
    return write_features_recipe(folder, methods(*only), generators=GENERATORS, representations=representations)


def pairs(folder: Path) -> set[tuple[str, str]]:
    return {(record["representation"], record["method"]) for record in records(folder / "out")}


def test_a_method_is_measured_on_its_representations_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "two")
    stages = due(path)
    with_generator = {one for one in stages if "made" in one or "difference" in one}
    assert with_generator == {"fit-generator:two/difference", "evaluate:two/made"}
    run_recipe(path)
    assert pairs(tmp_path) == {("one", "mean"), ("two", "mean"), ("two", "made")}
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert page.count("made") > 0


def test_a_method_that_is_taken_off_a_representation_leaves_the_results_and_comes_back_for_nothing(
    tmp_path: Path,
) -> None:
    run_recipe(write(tmp_path))
    assert len(pairs(tmp_path)) == 4
    run_recipe(write(tmp_path, "two"))
    assert ("one", "made") not in pairs(tmp_path)
    path = write(tmp_path)
    assert not [one for one in due(path) if one.startswith(("evaluate", "fit"))]
    run_recipe(path)
    assert len(pairs(tmp_path)) == 4


def test_an_unknown_representation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"evaluate.methods.made.representations: 'tow' is no representation. Did you"):
        validate_recipe(write(tmp_path, "tow"))
