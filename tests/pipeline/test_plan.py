"""What runs, what is skipped, and the reason given."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from lowshot.errors import LowshotError
from lowshot.pipeline.decisions import announce
from lowshot.pipeline.stage import Stage
from lowshot.pipeline.stamps import Stamps, differences


def _chain(folder: Path, epochs: int = 5, n_shots: int = 1) -> list[Stage]:
    def stage(kind: str, inputs: dict[str, int], *needs: Stage) -> Stage:
        output = folder / kind
        return Stage(kind, "", inputs, needs, (output,), lambda: None)

    train = stage("train", {"epochs": epochs})
    extract = stage("extract", {"precision": 32}, train)
    evaluate = stage("evaluate", {"n_shots": n_shots}, extract)
    return [train, extract, evaluate]


def _run(stamps: Stamps, stages: list[Stage]) -> list[str]:
    """Do what is out of date, as the runner does; return the kinds that ran."""
    ran = []
    for status in stamps.statuses(stages):
        if status.runs:
            status.stage.outputs[0].write_text("x")
            stamps.write(status.stage, 1.0)
            ran.append(status.stage.kind)
    return ran


def test_everything_runs_once_and_then_nothing(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "state")
    assert _run(stamps, _chain(tmp_path)) == ["train", "extract", "evaluate"]
    assert _run(stamps, _chain(tmp_path)) == []


@hypothesis(deadline=None)  # files are synced to disk, which takes as long as it takes
@given(st.permutations([("epochs", 6), ("n_shots", 2)]))
def test_a_change_reaches_what_is_downstream_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, order) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("chain")
    stamps = Stamps(folder / "state")
    _run(stamps, _chain(folder))
    reach = {"epochs": ["train", "extract", "evaluate"], "n_shots": ["evaluate"]}
    settings: dict[str, int] = {}
    for key, value in order:
        settings[key] = value
        assert _run(stamps, _chain(folder, **settings)) == reach[key]


def test_the_reason_names_the_change_and_the_stage_upstream(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "state")
    assert stamps.statuses(_chain(tmp_path))[0].why == "not done yet"
    _run(stamps, _chain(tmp_path))
    train, extract, evaluate = stamps.statuses(_chain(tmp_path, epochs=10))
    assert (train.why, extract.why) == ("epochs: 5 → 10", "after train")
    assert evaluate.runs
    (tmp_path / "extract").unlink()
    train, extract, evaluate = stamps.statuses(_chain(tmp_path))
    assert not train.runs
    assert extract.why.endswith("extract is missing")
    assert evaluate.why == "after extract"


def test_force_runs_what_is_up_to_date(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "state")
    _run(stamps, _chain(tmp_path))
    assert [s.runs for s in stamps.statuses(_chain(tmp_path), force=["extract"])] == [False, True, True]


def test_a_stage_that_wrote_nothing_is_not_stamped(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "state")
    with pytest.raises(LowshotError, match="without writing"):
        stamps.write(_chain(tmp_path)[0], 1.0)
    assert stamps.read(_chain(tmp_path)[0]) is None


def test_differences_are_dotted_and_show_both_sides() -> None:
    old = {"train": {"lr": 0.1, "loss": None}, "seed": 0}
    new = {"train": {"lr": 0.1, "loss": "sgm"}, "seed": 0, "base": (1, 2)}
    assert differences(old, new) == ["train.loss: None → sgm", "base: unset → [1, 2]"]
    assert differences(old, old) == []


def test_a_changed_digest_is_not_shown() -> None:
    assert differences({"code": {"knn.py": "0" * 16}}, {"code": {"knn.py": "1" * 16}}) == ["code.knn.py changed"]
    assert differences({"code": "0" * 16}, {"code": None}) == [f"code: {'0' * 16} → None"]


def test_reasons_are_said_where_a_stage_runs_again_and_many_stages_share_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stamps = Stamps(tmp_path / "state")

    def said(stages: list[Stage], force: tuple[str, ...] = ()) -> list[str]:
        statuses = stamps.statuses(stages, force)
        assert announce(statuses, stamps) == [status.runs for status in statuses]
        return capsys.readouterr().err.splitlines()

    def several(n: int, **inputs: object) -> list[Stage]:
        paths = [tmp_path / f"{i}.txt" for i in range(n)]
        for path in paths:
            path.write_text("x")
        return [Stage("evaluate", f"a/m{i}", inputs, (), (path,), None) for i, path in enumerate(paths)]

    assert said(several(2)) == ["▶ evaluate:a/m0", "▶ evaluate:a/m1"]
    assert said(several(5)) == ["▶ evaluate: 5 of 5 methods"]
    for stage in several(5)[:4]:
        stamps.write(stage, 1.0)
    assert said(several(5)) == ["▶ evaluate:a/m4", "✓ evaluate: 4 of 5 are up to date"]
    assert said(several(4, seed=1)) == [f"▶ evaluate:a/m{i}: seed: unset → 1" for i in range(4)]


def test_an_interrupted_stage_says_what_is_left_of_it_and_only_with_the_same_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stamps = Stamps(tmp_path / "state")

    def stages(n: int = 1, epochs: int = 8, left: str = "3 of 8 epochs") -> list[Stage]:
        return [
            Stage("train", f"a{i}", {"epochs": epochs}, (), (tmp_path / f"{i}.txt",), left=lambda: left)
            for i in range(n)
        ]

    def why(some: list[Stage]) -> str:
        return stamps.statuses(some)[0].why

    assert why(stages()) == "not done yet"  # files of another time are no part of this run
    announce(stamps.statuses(stages()), stamps)
    assert capsys.readouterr().err == "▶ train:a0\n"
    assert why(stages()) == "continues: 3 of 8 epochs done"
    assert why(stages(left="")) == "not done yet"
    assert why(stages(epochs=9)) == "not done yet"
    announce(stamps.statuses(stages()), stamps)
    assert capsys.readouterr().err == "▶ train:a0: continues: 3 of 8 epochs done\n"

    announce(stamps.statuses(stages(5)), stamps)
    capsys.readouterr()
    announce(stamps.statuses(stages(5)), stamps)
    assert capsys.readouterr().err == "▶ train: 5 of 5 methods, 5 of them continued\n"

    (tmp_path / "0.txt").write_text("x")
    stamps.write(stages()[0], 1.0)
    assert not list(tmp_path.rglob("a0.begun"))
    assert not stamps.statuses(stages())[0].runs
