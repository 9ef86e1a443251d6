"""The output folder: one run at a time, nothing written by looking, and a finished run that can only be read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from lowshot.cli import run
from lowshot.errors import InputError
from lowshot.files import locked
from lowshot.pipeline import validate_recipe
from lowshot.pipeline.outputs import Outputs
from lowshot.pipeline.run_lock import only_run
from tests.permissions import read_only
from tests.pipeline.recipes import IMAGES, due_but_report, run_recipe, write_features_recipe, write_image_recipe

METHODS = {"plain": {"classifier": "nearest_mean"}, "ridge": {"classifier": "ridge"}}
SECONDS = 120


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time and content."""
    return {str(f): (f.stat().st_mtime_ns, f.read_bytes()) for f in sorted(folder.rglob("*")) if f.is_file()}


def until(condition: Callable[[], bool]) -> None:
    for _ in range(SECONDS * 20):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it took too long")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of given features whose stages up to evaluation are finished."""
    path = write_features_recipe(tmp_path, METHODS)
    for kind in ("split", "evaluate"):
        run_recipe(path, only=kind)
    return path


def test_a_second_run_waits_and_says_for_whom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs, inside = Outputs(tmp_path / "out"), threading.Event()

    def second() -> None:
        with only_run(outputs):
            inside.set()

    with only_run(outputs):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.5)
        assert not inside.is_set()
    assert inside.wait(SECONDS)
    other.join()
    said = capsys.readouterr().err
    assert said.count("waiting for another run in") == 1
    assert f"process {os.getpid()} on" in said


def test_what_is_due_is_decided_after_the_wait(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run that was waited for may have done it all."""
    done = tmp_path / "done"
    (tmp_path / "out").rename(done)
    outputs = Outputs(tmp_path / "out")
    with locked(outputs.state / "run.lock", lambda: None):
        other = threading.Thread(target=run_recipe, args=(recipe,), kwargs={"only": "evaluate"})
        other.start()
        until(lambda: "waiting for another run" in capsys.readouterr().err)
        shutil.copytree(done, outputs.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("run.lock"))
    other.join()
    said = capsys.readouterr().err
    assert said.count("✓ evaluate:") == 2
    assert "▶" not in said


HELD = """
    import os, sys, time
    from pathlib import Path
    from unittest import mock
    from lowshot.cli import main
    from lowshot.pipeline import runner
    from tests.pipeline.conftest import quick_render

    decide = runner.decide

    def decide_later(*arguments):
        while "HOLD" in os.environ and not Path(os.environ["HOLD"]).exists():
            time.sleep(0.05)
        return decide(*arguments)

    with (
        mock.patch("lowshot.report.writing.render", quick_render),
        mock.patch.object(runner, "decide", decide_later),
    ):
        main(sys.argv[1:])
"""


@pytest.mark.usefixtures("quick_figures")
def test_two_runs_of_other_settings_in_one_folder_each_show_their_own_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_image_recipe(tmp_path, representations={"net": {}})
    hold = tmp_path / "hold"

    def start(rate: float, **environment: str) -> tuple[subprocess.Popen[bytes], Path, Path]:
        place = tmp_path / f"both-{rate}"
        arguments = ["run", str(path), f"train.lr={rate}", "-o", str(tmp_path / "both"), "--engine", "serial"]
        with open(f"{place}.out", "wb") as out, open(f"{place}.err", "wb") as err:
            command = [sys.executable, "-c", textwrap.dedent(HELD), *arguments]
            process = subprocess.Popen(command, stdout=out, stderr=err, env=os.environ | environment)
        return process, Path(f"{place}.out"), Path(f"{place}.err")

    first = start(0.3, HOLD=str(hold))
    until((tmp_path / "both" / "state" / "run.lock").exists)
    second = start(0.0001)
    until(lambda: "waiting for another run in" in second[2].read_text())
    hold.touch()
    assert [run[0].wait(SECONDS) for run in (first, second)] == [0, 0], second[2].read_text()
    for rate, together in ((0.3, first), (0.0001, second)):
        run_recipe(path, [f"train.lr={rate}"], output=tmp_path / f"alone{rate}")
        assert together[1].read_text() == capsys.readouterr().out
    network = Path("representations/net/checkpoints/epoch_002.ckpt")
    assert (tmp_path / "both" / network).read_bytes() == (tmp_path / "alone0.0001" / network).read_bytes()
    assert list((tmp_path / "both" / "representations" / "replaced").iterdir())  # the first run's network


def test_a_recipe_of_fewer_experiments_takes_over_the_folder_of_one_of_more(recipe: Path, tmp_path: Path) -> None:
    keep = tmp_path / "out" / "split" / "splitfile_9_notes.json"
    keep.write_text("mine")
    for experiments in (4, 1, 3):
        for kind in ("split", "evaluate"):
            run_recipe(recipe, [f"split.experiments={experiments}"], only=kind)
        numbered = sorted(file.name for file in (tmp_path / "out" / "split").glob("splitfile_?.json"))
        assert numbered == [f"splitfile_{number}.json" for number in range(1, experiments + 1)]
    assert keep.read_text() == "mine"


def test_stages_of_names_that_could_run_together_have_stamps_of_their_own(tmp_path: Path) -> None:
    path = write_features_recipe(tmp_path, {"linear": METHODS["plain"], "x-linear": METHODS["ridge"]})
    given = path.parent / "given.yaml"
    tree = yaml.safe_load(path.read_text())
    [features] = tree["representations"].values()
    tree["representations"] = {"sgm": features, "sgm-x": features}
    given.write_text(yaml.safe_dump(tree))
    run_recipe(given, only="split")
    run_recipe(given, only="evaluate")
    folder = tmp_path / "out" / "state" / "evaluate"
    stamps = {str(file.relative_to(folder)) for file in folder.rglob("*.json")}
    assert stamps == {f"{r}/{m}.json" for r in ("sgm", "sgm-x") for m in ("linear", "x-linear")}
    assert not due_but_report(given)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of images, one of which cannot be read, and a recipe that leaves it out."""
    for name in "abcdefgh":
        for number in range(8):
            place = tmp_path / "photos" / name / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (ord(name), 25 * number, 0)).save(place)
    (tmp_path / "photos" / "a" / "3.png").write_bytes(b"no image")
    data = {
        **IMAGES["data"],
        "dataset": "image_folder",
        "root": str(tmp_path / "photos"),
        "options": {"test_per_class": 2},
        "on_bad_image": "skip",
    }
    split = {"base": [2, 2], "novel": [2, 2], "experiments": 2, "max_shots": 3}
    evaluate = {"n_shots": [1], "methods": {"plain": {"classifier": "nearest_mean"}}}
    return write_image_recipe(tmp_path, data=data, split=split, evaluate=evaluate, representations={"net": {}})


def test_looking_writes_nothing(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(tmp_path)
    assert run(["run", str(photos), "--dry-run"]) == 0
    assert run(["validate", str(photos), "--deep"]) == 0
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "out").exists()
    run_recipe(photos, only="split")
    before = snapshot(tmp_path)
    assert run(["run", str(photos), "--dry-run"]) == 0
    assert run(["run", str(photos), "--dry-run", "data.options.test_per_class=3"]) == 0
    assert snapshot(tmp_path) == before


@pytest.mark.usefixtures("quick_figures")
def test_a_finished_run_that_is_read_only_is_read(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_recipe(photos)
    capsys.readouterr()
    before = snapshot(tmp_path / "out")
    with read_only(tmp_path / "out"):
        assert run(["run", str(photos)]) == 0
        assert run(["report", str(photos)]) == 0
        assert run(["evaluate", str(photos)]) == 0
        assert run(["validate", str(photos), "--deep"]) == 0
        assert run(["run", str(photos), "report.title=Other"]) == 2
    printed = capsys.readouterr()
    assert printed.out.count("Top-1, novel classes, joint space") == 2
    assert snapshot(tmp_path / "out") == before
    assert "Traceback" not in printed.err


def test_work_in_a_read_only_folder_is_refused_with_a_way_out(recipe: Path, tmp_path: Path) -> None:
    change = "evaluate.methods.ridge.params={alpha: 3.0}"
    with read_only(tmp_path / "out"), pytest.raises(InputError) as caught:
        run_recipe(recipe, [change], only="evaluate")
    said = str(caught.value)
    assert f"output folder {tmp_path / 'out'} cannot be written" in said
    assert "Permission denied" in said
    assert "evaluate:given/ridge is due (params.alpha: unset → 3.0)" in said
    assert "copy this one and give the copy" in said
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    run_recipe(recipe, [change], only="evaluate", output=tmp_path / "copy")


def test_a_folder_that_cannot_be_made_is_refused(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"output folder .*file/out cannot be written \(.*Not a directory\)"):
        run_recipe(recipe, only="split", output=tmp_path / "file" / "out")
    assert validate_recipe(recipe, output=tmp_path / "file" / "out")
