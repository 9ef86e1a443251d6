"""After any kill or damaged file the same command goes on from what is left, and measures nothing twice."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lowshot.benchmark import ResultStore
from lowshot.benchmark.task import Task
from lowshot.files import read_json
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.stamps import Stamps
from lowshot.recipe import load_recipe
from tests.benchmark.problems import without_times
from tests.pipeline.recipes import due_but_report, records, run_recipe, tuned_file, write_features_recipe

MEASURED = ("tune", "evaluate", "episodes")
METHODS = {"ridge": {"classifier": "ridge", "grid": {"alpha": [0.1, 10.0]}}}
EPISODES = {"n_way": 2, "n_shots": [1, 2], "n_query": 4, "n_tasks": 3}
MERGED = {"evaluate": "results.jsonl", "episodes": "episodes.jsonl"}
OWN = {"evaluate": "results/given/ridge.jsonl", "episodes": "episodes/given/ridge.jsonl"}

After = Callable[[str], Path]


class Killed(BaseException):
    """The end of a process that a test kills: nobody catches it."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and its results after each kind of stage, in ``after KIND``."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    path = write_features_recipe(folder, METHODS, episodes=EPISODES)
    for kind in ("split", *MEASURED):
        assert bool(go_on(path, kind)) == (kind in MEASURED)
        shutil.copytree(folder / "out", folder / f"after {kind}")
    return folder


@pytest.fixture
def after(uninterrupted: Path) -> After:
    """Bring back the results after a kind of stage, and return the recipe."""

    def restore(kind: str) -> Path:
        shutil.rmtree(uninterrupted / "out")
        shutil.copytree(uninterrupted / f"after {kind}", uninterrupted / "out")
        return uninterrupted / "recipe.yaml"

    return restore


def go_on(path: Path, *kinds: str) -> list[str]:
    """Run these stages, and return the keys of the tasks that ran."""
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
def test_a_kill_after_the_last_task_costs_no_task(after: After, kind: str, place: str) -> None:
    recipe = after("split" if kind == "tune" else "tune")
    killed_at(recipe, kind, place)
    subject = f"{kind}:given/ridge"
    assert subject in due_but_report(recipe)
    assert go_on(recipe, kind) == []
    assert subject not in due_but_report(recipe)

    found, wanted = recipe.parent / "out", recipe.parent / f"after {kind}"
    if kind == "tune":
        file = tuned_file(recipe.parent).relative_to(found)
        assert read_json(found / file) == read_json(wanted / file)
    else:
        assert [r["unit"] for r in records(found, MERGED[kind])] == [r["unit"] for r in records(wanted, MERGED[kind])]


@pytest.mark.parametrize("kind", ["evaluate", "episodes"])
@pytest.mark.parametrize("cut", [1, 40, 2000])
def test_results_that_were_cut_off_are_measured_again_and_no_others(after: After, kind: str, cut: int) -> None:
    recipe = after("episodes")
    own, merged = (recipe.parent / "out" / files[kind] for files in (OWN, MERGED))
    whole, size = ResultStore(own).records, own.stat().st_size
    os.truncate(own, size - min(cut, size // 3))
    lost = {r["unit"] for r in whole} - {r["unit"] for r in ResultStore(own).records}
    assert len(lost) <= 2
    assert due_but_report(recipe) >= {f"{kind}:given/ridge"}
    assert len(go_on(recipe, kind)) == len(lost)
    assert without_times(ResultStore(own).records) == without_times(whole)
    assert without_times(ResultStore(merged).records) == without_times(whole)
    assert f"{kind}:given/ridge" not in due_but_report(recipe)


@pytest.mark.parametrize("left", [b"", b'{"params": {"al', b"[]", b"{}"])
def test_a_damaged_file_of_winners_is_written_again_without_a_run(after: After, left: bytes) -> None:
    recipe = after("evaluate")
    file = tuned_file(recipe.parent)
    whole, before = file.read_bytes(), records(recipe.parent / "out")
    file.write_bytes(left)
    assert {"tune:given/ridge", "evaluate:given/ridge"} <= due_but_report(recipe)
    assert go_on(recipe, "tune", "evaluate") == []
    assert file.read_bytes() == whole
    assert records(recipe.parent / "out") == before


@pytest.mark.parametrize("left", [b"", b'{"fingerprint": "a', b"[]", b"{}"])
def test_a_damaged_stamp_is_none(after: After, left: bytes) -> None:
    recipe = after("evaluate")
    [stamp] = (recipe.parent / "out" / "state" / "evaluate").rglob("*.json")
    stamp.write_bytes(left)
    assert "evaluate:given/ridge" in due_but_report(recipe)
    assert go_on(recipe, "evaluate") == []
    assert "evaluate:given/ridge" not in due_but_report(recipe)


def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(
    whole_run: Path, write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_recipe()
    command = [sys.executable, "-m", "lowshot", "run", str(path), "--output", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "representations" / "baseline" / "checkpoints" / "epoch_001.ckpt"
    for _ in range(600):
        if checkpoint.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_recipe(path, output=tmp_path / "killed")
    assert without_times(records(whole_run / "out")) == without_times(records(tmp_path / "killed"))


@pytest.mark.parametrize("kind", MEASURED)
def test_an_interrupted_stage_says_how_many_tasks_it_has(after: After, kind: str) -> None:
    recipe = after("split" if kind == "tune" else "tune")
    killed_at(recipe, kind, "before the stamp")
    plan = Plan(load_recipe(recipe))
    (status,) = [s for s in Stamps(plan.outputs.state).statuses(plan.stages) if s.stage.key == f"{kind}:given/ridge"]
    assert re.fullmatch(r"continues: [1-9]\d* tasks done", status.why)
    go_on(recipe, kind)
    assert not list((recipe.parent / "out").rglob("*.begun"))
