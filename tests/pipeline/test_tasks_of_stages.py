"""The tasks of a recipe: all representations and methods at once, on any engine, and the files of their results."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lowshot.benchmark import Engine, ResultStore, summarise
from lowshot.benchmark.protocol import Evaluation
from lowshot.cli import run
from lowshot.errors import LowshotError
from lowshot.recipe import load_recipe
from tests.benchmark.problems import without_times
from tests.pipeline.recipes import due_but_report, features_files, records, run_recipe, write_features_recipe

METHODS: dict[str, dict[str, Any]] = {
    "linear": {"params": {"n_steps": 5, "batch_size": 20}},
    "generated": {"classifier": "nearest_mean", "generator": "difference", "n_per_class": 5},
}


def two_representations(folder: Path, methods: dict[str, dict[str, Any]] = METHODS, **sections: Any) -> Path:
    """A recipe of the features of two representations."""
    given = {name: {"features": features_files(folder / name)} for name in ("one", "two")}
    return write_features_recipe(folder, methods, representations=given, **sections)


def results(folder: Path) -> list[dict[str, Any]]:
    """The merged records without their times."""
    return without_times(records(folder / "out"))


def test_workers_give_the_bytes_that_one_process_gives(tmp_path: Path) -> None:
    path = two_representations(tmp_path)
    run_recipe(path, only="split")
    run_recipe(path, only="fit-generator")
    run_recipe(path, only="evaluate")
    serial = results(tmp_path)
    order = [(r["representation"], r["method"], r["setup"], r["n_shots"], r["experiment"]) for r in serial]
    assert order == [
        (representation, method, setup, n, experiment)
        for representation in ("one", "two")
        for method in sorted(METHODS)
        for setup in ("val", "test")
        for n in (1, 3)
        for experiment in (1, 2)
    ]
    assert {r["recipe_hash"] for r in serial} == {load_recipe(path).fingerprint}
    for file in (tmp_path / "out" / "results").glob("*/*.jsonl"):
        file.unlink()
    run_recipe(path, only="evaluate", engine=Engine("loky", 2))
    assert results(tmp_path) == serial
    assert not (tmp_path / "out" / "scratch").exists()


def test_the_same_recipe_in_another_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    methods = {"proto": {"classifier": "prototypical", "params": {"n_episodes": 2, "n_shots": [1, 2]}}}
    path = write_features_recipe(tmp_path, methods, evaluate={"n_shots": [1], "methods": methods})
    found = []
    for name in ("out", "another"):
        for kind in ("split", "fit-classifier", "evaluate"):
            run_recipe(path, only=kind, output=tmp_path / name)
        [file] = (tmp_path / name / "classifiers").glob("*/*.safetensors")
        found.append((file.read_bytes(), [r["unit"] for r in ResultStore(tmp_path / name).records]))
    assert found[0] == found[1]


def test_a_method_that_fails_leaves_the_others_finished(tmp_path: Path) -> None:
    plugin = tmp_path / "fragile.py"
    code = """
        from lowshot.classifiers import NearestMean
        from lowshot.registry import CLASSIFIERS

        @CLASSIFIERS.register("fragile", "breaks where there is little to see")
        class Fragile(NearestMean):
            def _fit_novel(self, X, codes):
                if len(X) == 2 and not WELL:
                    raise ZeroDivisionError("too few shots")
                super()._fit_novel(X, codes)
    """
    plugin.write_text("WELL = False\n" + textwrap.dedent(code))
    methods = {"fragile": {"classifier": "fragile"}, "plain": {"classifier": "nearest_mean"}}
    path = two_representations(tmp_path, methods=methods, plugins=["fragile.py"])
    with pytest.raises(LowshotError, match=r"one/fragile val n=1: ZeroDivisionError: too few shots") as caught:
        run_recipe(path)
    assert "also two/fragile val n=1: ZeroDivisionError" in str(caught.value)
    assert due_but_report(path) == {"evaluate:one/fragile", "evaluate:two/fragile"}
    assert {r["method"] for r in results(tmp_path)} == {"plain"}


def test_the_file_of_all_results_is_right_though_nothing_is_due(tmp_path: Path) -> None:
    path = two_representations(tmp_path, episodes={"n_way": 2, "n_shots": [1], "n_query": 4, "n_tasks": 3})
    kinds = ("fit-generator", "evaluate", "episodes")
    for kind in kinds:
        run_recipe(path, only=kind)
    merged = [tmp_path / "out" / name for name in ("results.jsonl", "episodes.jsonl")]
    whole = [file.read_bytes() for file in merged]
    for file in merged:  # as a kill between a stamp and a merge leaves it
        file.write_bytes(file.read_bytes().partition(b"\n")[0] + b"\n")
    assert due_but_report(path) == set()
    for kind in kinds:
        run_recipe(path, only=kind)
    assert [file.read_bytes() for file in merged] == whole
    two_representations(tmp_path, methods={"linear": METHODS["linear"]})
    assert due_but_report(path) == set()
    times = [file.stat().st_mtime_ns for file in (tmp_path / "out" / "results").glob("*/generated.jsonl")]
    run_recipe(path, only="evaluate")
    assert {r["method"] for r in results(tmp_path)} == {"linear"}
    assert times == [file.stat().st_mtime_ns for file in (tmp_path / "out" / "results").glob("*/generated.jsonl")]


def test_records_that_are_still_right_are_todays_recipes(tmp_path: Path) -> None:
    ridge = {"classifier": "ridge", "params": {"alpha": 1.0}}
    plain = {"classifier": "nearest_mean"}
    path = two_representations(tmp_path, methods={"ridge": ridge, "plain": plain})
    run_recipe(path, only="split")
    run_recipe(path, only="evaluate")
    before = results(tmp_path)
    assert {r["tuned"] for r in before} == {False}

    two_representations(tmp_path, methods={"ridge": {**ridge, "grid": {"alpha": [1.0]}}, "plain": plain}, name="other")
    for kind in ("tune", "evaluate"):
        with mock.patch.object(Evaluation, "__call__", side_effect=AssertionError("nothing is left to measure")):
            run_recipe(path, only=kind)
    after = results(tmp_path)
    recipe = load_recipe(path)
    assert recipe.fingerprint != before[0]["recipe_hash"]
    tags = {"recipe": "other", "recipe_hash": recipe.fingerprint}
    order = sorted(before, key=lambda r: (r["representation"], r["method"] != "plain"))
    assert after == [{**r, **tags, "tuned": r["method"] == "ridge"} for r in order]
    for representation in ("one", "two"):
        for method in ("ridge", "plain"):
            found = ResultStore(tmp_path / "out" / "results" / representation / f"{method}.jsonl").records
            assert {r["recipe_hash"] for r in found} == {recipe.fingerprint}


def test_a_raised_protocol_measures_everything_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods = {"ridge": {"classifier": "ridge", "grid": {"alpha": [1.0]}}}
    path = write_features_recipe(tmp_path, methods, episodes={"n_way": 2, "n_shots": [1], "n_query": 4, "n_tasks": 3})
    kinds = ("split", "tune", "evaluate", "episodes")

    def fingerprints() -> dict[str, set[str]]:
        for kind in kinds:
            run_recipe(path, only=kind)
        places = {kind: tmp_path / "out" / kind / "given" / "ridge.jsonl" for kind in ("tuned", "results", "episodes")}
        return {kind: {record["unit"] for record in ResultStore(file).records} for kind, file in places.items()}

    before = fingerprints()
    monkeypatch.setattr("lowshot.benchmark.protocol.PROTOCOL", 2)
    assert due_but_report(path) == {"tune:given/ridge", "evaluate:given/ridge", "episodes:given/ridge"}
    after = fingerprints()
    assert all(after[kind] and not after[kind] & before[kind] for kind in before)
    monkeypatch.undo()
    assert fingerprints() == before


def test_a_hundred_experiments_work_in_blocks(tmp_path: Path) -> None:
    split = {"base": [2, 2], "novel": [2, 2], "experiments": 100, "max_shots": 3}
    methods = {"plain": {"classifier": "nearest_mean"}}
    path = write_features_recipe(tmp_path, methods, split=split, evaluate={"n_shots": [1], "methods": methods})
    for kind in ("split", "evaluate"):
        run_recipe(path, only=kind)
    found = results(tmp_path)
    assert [r["experiment"] for r in found if r["setup"] == "test"] == list(range(1, 101))
    assert [r["experiment"] for r in found if r["setup"] == "val"] == list(range(1, 26))
    assert {r["unit_size"] for r in found} == {25}
    [interval] = summarise([r for r in found if r["setup"] == "test"], "all_top1")
    assert interval.n_experiments == 100
    assert interval.half_width is not None


@pytest.mark.parametrize("command", ["evaluate", "run", "tune", "demo"])
def test_an_unknown_engine_is_refused_before_anything_is_done(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = [] if command == "demo" else ["cifar100"]
    assert run([command, *recipe, "--engine", "lokki"]) == 2
    assert "there is no engine 'lokki'. Did you mean 'loky'?" in capsys.readouterr().err
    assert run([command, *recipe, "--address", "auto"]) == 2
    assert "give it with engine ray" in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
