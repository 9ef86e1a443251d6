"""Outputs that are damaged after their stage finished are found, named, and made anew with the same result."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lowshot.benchmark.results import ResultStore
from lowshot.benchmark.task import Task
from lowshot.cli import run
from lowshot.errors import InputError
from lowshot.pipeline import validate_recipe, written
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stamps import Stamps
from lowshot.recipe import load_recipe
from tests.permissions import read_only
from tests.pipeline.recipes import records, run_recipe, write_image_recipe

SECTIONS: dict[str, Any] = {
    "representations": {"net": {}},
    "generators": {"analogies": {"generator": "analogies", "params": {"n_clusters": 2, "n_steps": 10}}},
    "evaluate": {
        "n_shots": [1, 3],
        "methods": {
            "ridge": {"classifier": "ridge", "grid": {"alpha": [0.1, 10.0]}},
            "generated": {"classifier": "nearest_mean", "generator": "analogies", "n_per_class": 5},
            "matching": {"classifier": "matching_network", "params": {"n_episodes": 2, "n_way": 4}},
        },
    },
    "episodes": {"n_way": 2, "n_shots": [1], "n_query": 2, "n_tasks": 3, "methods": ["ridge"]},
}
KINDS = {"split", "train", "extract", "fit-generator", "fit-classifier", "tune", "evaluate", "episodes", "report"}


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def deleted(path: Path) -> None:
    path.unlink()


def swapped(path: Path) -> None:
    """With a file of another stage, of the same kind where there is one."""
    others = [other for other in files_of(path) if other != path]
    same = [other for other in others if other.suffix == path.suffix]
    path.write_bytes((same or others)[0].read_bytes())


WAYS = (truncated, flipped, emptied, deleted, swapped)


def files_of(path: Path) -> list[Path]:
    """All files in the output folder around a file that stages wrote for themselves."""
    out = next(parent for parent in path.parents if parent.name == "out")
    return sorted(file for stamp in stamps_in(out) for file in (out / name for name in stamp["files"]))


def stamps_in(out: Path) -> Iterator[dict[str, Any]]:
    for file in sorted((out / "state").rglob("*.json")):
        if not file.name.startswith("bad_images"):
            yield json.loads(file.read_text())


def damage(path: Path, way: Callable[[Path], None]) -> None:
    """Damage a file and put its times back."""
    times = path.stat()
    way(path)
    if path.exists():
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def result(out: Path) -> dict[str, Any]:
    """All that a run leads to, without times of day."""
    daily = {"seconds", "base_seconds", "time", "host", "versions", "recipe_fingerprint"}
    found: dict[str, Any] = {}
    for file in sorted(out.rglob("*")):
        name = str(file.relative_to(out))
        timed = ("report/report.html", "report/tables.md", "report/tables/seconds")
        if not file.is_file() or name.startswith(("state", "recipe.yaml", *timed)):
            continue
        if file.suffix == ".jsonl" and "log" in file.name:
            found[name] = [
                {k: v for k, v in json.loads(line).items() if k not in ("seconds", "images_per_second")}
                for line in file.read_text().splitlines()
            ]
        elif file.suffix in (".jsonl", ".json"):
            lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
            values = [json.loads(line) for line in lines]
            found[name] = [{k: v for k, v in value.items() if k not in daily} for value in values]
        elif file.suffix != ".damaged":
            found[name] = file.read_bytes()
    return found


def due(path: Path) -> dict[str, str]:
    recipe = load_recipe(path)
    return {s.stage.key: s.why for s in Stamps(recipe.folder / "state").statuses(Plan(recipe).stages) if s.runs}


@pytest.fixture(scope="module")
def original(quick_figures: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    run_recipe(write_image_recipe(folder, **SECTIONS))
    return folder


@pytest.fixture
def recipe(original: Path, tmp_path: Path) -> Path:
    """The path of a recipe whose stages are all finished; the test may damage what they wrote."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return write_image_recipe(tmp_path, **SECTIONS)


def test_every_file_of_every_stage_is_in_its_stamp(recipe: Path) -> None:
    out = recipe.parent / "out"
    state = out / "state"
    assert {file.relative_to(state).parts[0].removesuffix(".json") for file in state.rglob("*.json")} == KINDS
    merged = {"results.jsonl", "episodes.jsonl", "recipe.yaml"}
    every = {str(f.relative_to(out)) for f in out.rglob("*") if f.is_file() and f.relative_to(out).parts[0] != "state"}
    stamped = [name for stamp in stamps_in(out) for name in stamp["files"]]
    assert set(stamped) == every - merged
    assert len(stamped) == len(set(stamped))


def test_any_damage_of_any_file_is_seen_at_a_glance(recipe: Path) -> None:
    out = recipe.parent / "out"
    plan = Plan(load_recipe(recipe))
    stamps = Stamps(out / "state")
    assert not [s for s in stamps.statuses(plan.stages) if s.runs]
    for stage in plan.stages:
        stamp = stamps.read(stage)
        assert stamp is not None
        for name in stamp["files"]:
            file, before = out / name, (out / name).read_bytes()
            for way in WAYS:
                damage(file, way)
                assert name in str(stamps.stale(stage)), way.__name__
                file.write_bytes(before)
            assert stamps.stale(stage) is None  # only the time is another one now


@pytest.mark.parametrize("way", WAYS)
def test_a_run_makes_everything_anew_whatever_became_of_it(
    recipe: Path, original: Path, way: Callable[[Path], None]
) -> None:
    out = recipe.parent / "out"
    for file in files_of(out / "state"):
        damage(file, way)
    assert {key.partition(":")[0] for key in due(recipe)} == KINDS
    run_recipe(recipe)
    found, wanted = result(out), result(original / "out")
    for name in wanted.keys() - found.keys():
        assert name.endswith("epoch_001.ckpt")  # the earlier checkpoint of a training that had to start anew
    assert {name: found[name] for name in found} == {name: wanted[name] for name in found}
    assert due(recipe) == {}


def test_a_training_goes_on_from_the_checkpoint_that_is_intact(recipe: Path, original: Path) -> None:
    """And what rests on the network stays, since it is the same again."""
    folder = recipe.parent / "out" / "representations" / "net" / "checkpoints"
    damage(folder / "epoch_002.ckpt", flipped)
    assert set(due(recipe)) > {"train:net", "extract:net", "report"}
    with mock.patch.object(Task, "run", side_effect=AssertionError("nothing is left to measure")):
        run_recipe(recipe)
    assert (folder / "epoch_002.ckpt.damaged").exists()
    assert (folder / "epoch_001.ckpt").exists()  # it was not trained from the start
    assert result(recipe.parent / "out") == result(original / "out")
    assert due(recipe) == {}


@pytest.mark.parametrize("name", ["log.jsonl", "checkpoints/epoch_001.ckpt"])
@pytest.mark.parametrize("way", WAYS)
def test_a_finished_network_is_kept_when_a_file_beside_it_is_damaged(
    recipe: Path, original: Path, name: str, way: Callable[[Path], None]
) -> None:
    folder = recipe.parent / "out" / "representations" / "net"
    network = folder / "checkpoints" / "epoch_002.ckpt"
    before = network.stat().st_mtime_ns
    damage(folder / name, way)
    run_recipe(recipe)
    assert network.stat().st_mtime_ns == before
    assert (folder / "log.jsonl").read_bytes() == (original / "out/representations/net/log.jsonl").read_bytes()
    assert not (recipe.parent / "out" / "representations" / "replaced").exists()
    assert due(recipe) == {}


@pytest.mark.parametrize("kind", ["tuned", "results", "episodes"])
def test_only_the_records_that_were_damaged_are_measured_again(recipe: Path, original: Path, kind: str) -> None:
    out = recipe.parent / "out"
    file = out / kind / "net" / "ridge.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    damaged = json.loads(lines[-1])
    key = next(name for name in ("all_top5", "accuracy") if name in damaged)
    file.write_bytes(b"".join(lines[:-1]) + json.dumps({**damaged, key: 0.123}).encode() + b"\n")
    ran: list[str] = []
    run_task = Task.run

    def counted(task: Task, *needed: Any) -> Any:
        ran.append(task.key)
        return run_task(task, *needed)

    with mock.patch.object(Task, "run", counted):
        run_recipe(recipe)
    assert len(ran) == 1
    assert result(out) == result(original / "out")


@pytest.mark.parametrize("way", WAYS)
def test_files_of_all_methods_are_put_right_without_measuring_again(
    recipe: Path, original: Path, way: Callable[[Path], None]
) -> None:
    merged = [recipe.parent / "out" / name for name in ("results.jsonl", "episodes.jsonl")]
    for file in merged:
        way(file) if way is not swapped else file.write_bytes(merged[0].read_bytes()[::-1])
    with mock.patch.object(Task, "run", side_effect=AssertionError("nothing is left to measure")):
        run_recipe(recipe)
    for file in merged:
        assert file.read_bytes() == (original / "out" / file.name).read_bytes()


class Killed(BaseException):
    """The end of a process; no code catches it."""


@pytest.mark.parametrize("killed", [False, True])
def test_records_that_get_another_recipes_name_are_no_damage(recipe: Path, original: Path, killed: bool) -> None:
    other = ["name=other"]
    if killed:
        with (
            mock.patch.object(ResultStore, "retag", side_effect=Killed),
            pytest.raises(Killed),
        ):
            run_recipe(recipe, other, only="evaluate")
    with mock.patch.object(Task, "run", side_effect=AssertionError("nothing is left to measure")):
        run_recipe(recipe, other, only="evaluate")
        run_recipe(recipe, other, only="episodes")
    assert {record["recipe"] for record in records(recipe.parent / "out")} == {"other"}
    assert due(recipe) == {}


def test_a_file_that_was_only_touched_or_moved_is_intact(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read whole once, to see that."""
    monkeypatch.setattr(written, "WHOLE", 64)  # so that the files count as large
    monkeypatch.setattr(written, "BLOCK", 2)
    run_recipe(recipe, force=True)
    moved = recipe.parent / "moved"
    shutil.copytree(recipe.parent / "out", moved, copy_function=shutil.copyfile)
    for read_whole in (True, False):
        with mock.patch.object(written, "_sha256", wraps=written._sha256) as sha256:
            run_recipe(recipe, output=moved)
        assert sha256.called is read_whole
    assert due(recipe) == {}


def test_a_copy_that_can_be_only_read_is_up_to_date(recipe: Path) -> None:
    moved = recipe.parent / "moved"
    shutil.copytree(recipe.parent / "out", moved, copy_function=shutil.copyfile)
    with read_only(moved):
        run_recipe(recipe, output=moved)


def test_a_deep_check_finds_what_a_glance_misses_and_its_advice_mends_it(
    recipe: Path, original: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(written, "WHOLE", 64)  # so that the files count as large
    monkeypatch.setattr(written, "BLOCK", 2)
    monkeypatch.setattr(written, "BLOCKS", 2)
    run_recipe(recipe, force=True)
    assert "their files are as they were written" in validate_recipe(recipe, deep=True)
    out = recipe.parent / "out"
    names = ("features/net/train.hdf5", "representations/net/checkpoints/epoch_002.ckpt", "split/splitfile_1.json")
    for name in names:
        damage(out / name, flipped)
    assert due(recipe) == {}
    assert run(["validate", str(recipe)]) == 0
    assert run(["validate", str(recipe), "--deep"]) == 2
    said = capsys.readouterr().err
    for name in names:
        assert f"{out / name} is damaged" in said
    advice = said.split("To make them anew: ")[1]
    commands = [command.split() for command in advice.split(" && ")]
    assert [command[1] for command in commands] == ["split", "train", "extract", "run"]
    for command in commands:
        assert run(command[1:]) == 0
    assert run(["validate", str(recipe), "--deep"]) == 0
    found, wanted = result(out), result(original / "out")
    assert {name: found[name] for name in wanted if name in names} == {n: wanted[n] for n in wanted if n in names}


def test_a_deep_check_says_how_much_is_finished(recipe: Path, tmp_path: Path) -> None:
    plan = Plan(load_recipe(recipe))
    assert f"{len(plan.stages)} of {len(plan.stages)} stages" in validate_recipe(recipe, deep=True)
    assert f"0 of {len(plan.stages)} stages" in validate_recipe(recipe, deep=True, output=tmp_path / "other")
    (tmp_path / "out" / "report" / "tables.csv").unlink()
    with pytest.raises(InputError, match=r"tables\.csv is missing \(report wrote it\)"):
        validate_recipe(recipe, deep=True)


def test_a_stage_whose_input_was_made_anew_with_other_content_runs_again(recipe: Path) -> None:
    """As after a training that is not reproducible, forced by itself."""
    features = recipe.parent / "out" / "features" / "net" / "test.hdf5"
    plan = Plan(load_recipe(recipe))
    stage = next(stage for stage in plan.stages if stage.kind == "extract")
    flipped(features)
    Stamps(recipe.parent / "out" / "state").write(stage, 1.0)
    assert due(recipe)["evaluate:net/ridge"] in ("extract:net has written other files since", "after tune:net/ridge")
    assert "fit-generator:net/analogies" in due(recipe)


def test_damaged_results_without_a_stamp_are_refused_with_advice_that_helps(recipe: Path) -> None:
    out = recipe.parent / "out"
    before = result(out)
    results = out / "results" / "net" / "ridge.jsonl"
    stamps = [file for file in (out / "state").rglob("*.json") if "results/net/ridge.jsonl" in file.read_text()]
    for stamp in stamps:
        stamp.unlink()
    lines = results.read_bytes().splitlines(keepends=True)
    for broken in (lines[0][:20] + b"\n", b'{"unit": 5}\n'):
        results.write_bytes(b"".join([broken, *lines[1:]]))
        with pytest.raises(InputError, match=r"line 1.* delete this line, and the next run computes what is missing"):
            run_recipe(recipe)
        results.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[1:]))
        run_recipe(recipe)
        assert result(out) == before
        for stamp in stamps:
            stamp.unlink()
