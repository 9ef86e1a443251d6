"""What a run does again: the stages that a change touches, and no others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lowshot.errors import InputError
from lowshot.pipeline.plan import Plan
from lowshot.pipeline.stages import report
from lowshot.pipeline.stamps import Stamps
from lowshot.recipe import load_recipe
from tests.pipeline.recipes import due, run_recipe

Write = Callable[..., Path]


def test_a_second_run_does_nothing_and_a_change_redoes_what_it_touches_alone(finished: Path) -> None:
    path = finished
    assert due(path) == []
    assert due(path, "evaluate.calibrate=none") == ["evaluate:baseline/linear", "evaluate:sgm/linear", "report"]
    assert due(path, "representations.sgm.train.loss_weight=0.5") == [
        "train:sgm",
        "extract:sgm",
        "evaluate:sgm/linear",
        "report",
    ]
    assert due(path, "report.title=Other") == ["report"]
    assert due(path, "train.devices=2", "extract.devices=2") == []
    assert "train:baseline" in due(path, "seed=1")
    assert "train:baseline" in due(path, "train.epochs=3")
    assert due(path, force=("evaluate",))[0] == "evaluate:baseline/linear"


def test_a_report_of_another_program_is_written_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(finished)
    *_, last = Plan(recipe).stages
    stamps = Stamps(recipe.folder / "state")
    with monkeypatch.context() as patch:
        patch.setattr(report, "program", lambda: "0" * 16)
        assert due(finished) == ["report"]
        assert stamps.stale(Plan(recipe).stages[-1]) == "lowshot.report changed"
    with monkeypatch.context() as patch:
        patch.setattr(report, "__version__", "0.0.1")
        assert report.program.__wrapped__() != last.inputs["lowshot.report"]
    file = recipe.folder / "state" / "report.json"
    stamp = json.loads(file.read_text())
    del stamp["inputs"]["lowshot.report"]  # as before stamps said which program had written the report
    file.write_text(json.dumps({**stamp, "fingerprint": "0" * 16}))
    assert due(finished) == ["report"]
    assert stamps.stale(last) == "lowshot.report changed"


def test_a_report_without_one_of_its_files_is_written_again(finished: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "out" / "report" / "tables")
    assert due(finished) == ["report"]
    run_recipe(finished)
    assert (tmp_path / "out" / "report" / "tables" / "best.tex").is_file()
    assert due(finished) == []


def test_a_changed_plugin_file_makes_stale_what_it_may_have_touched(finished: Path) -> None:
    plugin = finished.parent / "tiny_backbone.py"
    plugin.write_text(plugin.read_text() + "\n# changed\n")
    assert {"train:baseline", "extract:sgm", "evaluate:sgm/linear", "report"} <= set(due(finished))
    recipe = load_recipe(finished)
    train = next(stage for stage in Plan(recipe).stages if stage.kind == "train")
    assert Stamps(recipe.folder / "state").stale(train) == "plugins.tiny_backbone.py changed"


def test_changed_training_settings_keep_the_old_run_aside(finished: Path, tmp_path: Path) -> None:
    run_recipe(finished, ["train.lr=0.01"], only="train")
    kept = list((tmp_path / "out" / "representations" / "replaced").glob("baseline-*/checkpoints/epoch_002.ckpt"))
    assert len(kept) == 1
    assert (tmp_path / "out" / "representations" / "baseline" / "checkpoints" / "epoch_002.ckpt").exists()


def test_a_longer_training_goes_on_from_the_shorter_one(finished: Path, tmp_path: Path) -> None:
    run_recipe(finished, ["train.epochs=3"], only="train")
    assert not (tmp_path / "out" / "representations" / "replaced").exists()
    log = (tmp_path / "out" / "representations" / "baseline" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2, 3]


def test_a_stage_alone_asks_for_what_it_needs(write_recipe: Write) -> None:
    path = write_recipe(representations={"baseline": {}})
    with pytest.raises(InputError, match=r"extract:baseline needs train:baseline.*run `lowshot train`"):
        run_recipe(path, only="extract")
    for kind in ("split", "train", "extract", "evaluate", "report"):
        run_recipe(path, only=kind)
    assert due(path) == []


def test_a_dry_run_changes_nothing(write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_recipe(write_recipe(), dry_run=True)
    assert not (tmp_path / "out").exists()
    printed = capsys.readouterr().out
    assert "evaluate:sgm/linear" in printed
    assert "would run" in printed
