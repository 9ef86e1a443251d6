"""Whatever a kill or a disk leaves behind, the same command goes on from it, and measures nothing twice."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lowshot import pipeline
from lowshot.benchmark import Engine, ResultStore
from lowshot.benchmark.task import Task
from lowshot.files import read_json
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stages.base import Stage
from lowshot.pipeline.stamps import Stamps
from tests.pipeline.test_sweep import results
from tests.pipeline.test_tune import due, tuned_file, write_recipe

run_recipe = functools.partial(pipeline.run_recipe, engine=Engine("serial"))

MEASURED = ("tune", "evaluate", "episodes")
METHODS = {"ridge": {"classifier": "ridge", "grid": {"alpha": [0.1, 10.0]}}}
EPISODES = {"n_way": 2, "n_shots": [1, 2], "n_query": 4, "n_tasks": 3}


class Killed(BaseException):
    """What a test raises where a process is killed: nobody catches it."""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = write_recipe(tmp_path, METHODS, episodes=EPISODES)
    run_recipe(path, only="split")
    return path


def go_on(path: Path, *kinds: str) -> list[str]:
    """Run these stages, and give the keys of the tasks that ran."""
    ran: list[str] = []
    run = Task.run

    def counted(task: Task, *needed: Any) -> Any:
        ran.append(task.key)
        return run(task, *needed)

    with mock.patch.object(Task, "run", counted):
        for kind in kinds:
            run_recipe(path, only=kind)
    return ran


def killed_at(path: Path, kind: str, place: str) -> None:
    """Run the stages of a kind until the last task is done, and die there; nothing is tidied up."""
    write, keep = Stamps.write, ResultStore.keep

    def write_or_die(stamps: Stamps, stage: Stage, seconds: float) -> None:
        if stage.kind == kind and place == "before the stamp":
            raise Killed
        write(stamps, stage, seconds)

    def keep_or_die(store: ResultStore, fingerprints: Any) -> None:
        if place == "before the last write":
            raise Killed
        keep(store, fingerprints)

    with (
        mock.patch.object(Stamps, "write", write_or_die),
        mock.patch.object(ResultStore, "keep", keep_or_die),
        mock.patch.object(Plan, "update_results"),
        pytest.raises(Killed),
    ):
        run_recipe(path, only=kind)


@pytest.mark.parametrize("kind", MEASURED)
@pytest.mark.parametrize("place", ["before the last write", "before the stamp"])
def test_a_kill_after_the_last_task_costs_no_task(recipe: Path, kind: str, place: str) -> None:
    earlier = [] if kind == "tune" else ["tune"]
    go_on(recipe, *earlier)
    killed_at(recipe, kind, place)
    subject = f"{kind}:given/ridge"
    assert subject in due(recipe)
    assert go_on(recipe, kind) == []
    assert subject not in due(recipe)

    again = recipe.parent / "again"
    again.mkdir()
    path = write_recipe(again, METHODS, episodes=EPISODES)
    assert go_on(path, "split", *earlier, kind)
    if kind == "tune":
        assert winner(recipe.parent) == winner(again)
    else:
        name = {"evaluate": "results", "episodes": "episodes"}[kind]
        found, wanted = (ResultStore(folder / "out" / f"{name}.jsonl").records for folder in (recipe.parent, again))
        assert [r["unit"] for r in found] == [r["unit"] for r in wanted]


def winner(folder: Path) -> dict[str, Any]:
    """The file of winners without what depends on the place of the recipe."""
    return {**read_json(tuned_file(folder)), "recipe_fingerprint": None}


@pytest.mark.parametrize("kind", ["evaluate", "episodes"])
@pytest.mark.parametrize("cut", [1, 40, 2000])
def test_results_that_were_cut_off_are_measured_again_and_no_others(recipe: Path, kind: str, cut: int) -> None:
    go_on(recipe, "tune", kind)
    folder = recipe.parent / "out"
    own = folder / {"evaluate": "results", "episodes": "episodes"}[kind] / "given" / "ridge.jsonl"
    merged = folder / {"evaluate": "results.jsonl", "episodes": "episodes.jsonl"}[kind]
    daily = {"time", "seconds", "base_seconds"}

    def measured(file: Path) -> list[dict[str, Any]]:
        return [{k: v for k, v in r.items() if k not in daily} for r in ResultStore(file).records]

    whole, size = measured(own), own.stat().st_size
    os.truncate(own, size - min(cut, size // 3))
    lost = {r["unit"] for r in whole} - {r["unit"] for r in ResultStore(own).records}
    assert len(lost) <= 2
    assert due(recipe) >= {f"{kind}:given/ridge"}
    assert len(go_on(recipe, kind)) == len(lost)
    assert measured(own) == measured(merged) == whole
    assert f"{kind}:given/ridge" not in due(recipe)


@pytest.mark.parametrize("left", [b"", b'{"params": {"al', b"[]", b"{}"])
def test_a_damaged_file_of_winners_is_written_again_without_a_run(recipe: Path, left: bytes) -> None:
    go_on(recipe, "tune", "evaluate")
    file = tuned_file(recipe.parent)
    whole, before = file.read_bytes(), results(recipe.parent)
    file.write_bytes(left)
    assert {"tune:given/ridge", "evaluate:given/ridge"} <= due(recipe)
    assert go_on(recipe, "tune", "evaluate") == []
    assert file.read_bytes() == whole
    assert results(recipe.parent) == before


@pytest.mark.parametrize("left", [b"", b'{"fingerprint": "a', b"[]", b"{}"])
def test_a_damaged_stamp_is_none(recipe: Path, left: bytes) -> None:
    go_on(recipe, "tune", "evaluate")
    [stamp] = (recipe.parent / "out" / "state").glob("evaluate-*.json")
    stamp.write_bytes(left)
    assert "evaluate:given/ridge" in due(recipe)
    assert go_on(recipe, "evaluate") == []
    assert "evaluate:given/ridge" not in due(recipe)
