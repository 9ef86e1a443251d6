"""The scheduler: any order of tasks, groups that fail alone, and workers that report in time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch

from lowshot.errors import InputError, LowshotError
from lowshot.parallel import Engine, TaskGroup, run_groups, scheduler
from tests.parallel.pools import DyingPool, EngineWithPool, InlinePool
from tests.parallel.tasks import CHAIN_SUMS, Add, Last, Raise, chain, noted, sums

SERIAL = Engine("serial")


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_tasks_run_in_any_order_once_what_they_need_is_there(tmp_path: Path, order: slice) -> None:
    assert sums(SERIAL, chain(tmp_path)[order]) == CHAIN_SUMS
    assert sorted(noted(tmp_path)) == sorted(CHAIN_SUMS)


# -------------------------------------------------------------------------------------------- groups that fail


def test_a_group_that_cannot_finish_is_named_and_ends_no_other(tmp_path: Path) -> None:
    def refuse(last: bool) -> None:
        raise InputError("nothing here is a number")

    done: list[str] = []
    groups = [
        TaskGroup("hopeless", [], lambda task, result: None, finish=refuse),
        TaskGroup("fine", [Add("a", 1, tmp_path)], lambda task, result: done.append(task.key)),
    ]
    with pytest.raises(InputError, match=r"^hopeless: nothing here is a number"):
        run_groups(groups, SERIAL)
    assert done == ["a"]


@pytest.mark.parametrize("engine", [SERIAL, Engine("loky", 2)])
def test_a_task_that_raises_is_named_and_ends_its_own_group_alone(engine: Engine, tmp_path: Path) -> None:
    done: list[str] = []
    finished: list[tuple[str, bool]] = []

    def group(name: str, tasks: list[Add]) -> TaskGroup:
        return TaskGroup(
            name, tasks, lambda task, result: done.append(task.key), lambda last: finished.append((name, last))
        )

    bad = group("bad", [Add("fine", 1, tmp_path), Raise("odd", 1, tmp_path), Add("after", 1, tmp_path, ("odd",))])
    good = group(
        "good", [*(Add(f"good{i}", i, tmp_path) for i in range(2)), Last("good2", 2, tmp_path, after=("odd",))]
    )
    with pytest.raises(LowshotError, match=r"(?s)^odd: ZeroDivisionError: no number fits.*tasks\.py") as caught:
        run_groups([bad, good], engine)
    assert caught.value.exit_code == 1
    assert {"good0", "good1", "good2"} <= set(done) <= {"fine", "good0", "good1", "good2"}
    assert finished == [("good", True)]
    assert "after" not in noted(tmp_path)


def test_a_mistake_of_the_user_stays_one(tmp_path: Path) -> None:
    class Refuse(Add):
        def run(self, *needed: int) -> int:
            raise InputError("lr is -1")

    with pytest.raises(InputError, match=r"^first: lr is -1\nalso second: lr is -1$"):
        run_groups(
            [TaskGroup(key, [Refuse(key, 0, tmp_path)], lambda task, result: None) for key in ("first", "second")],
            SERIAL,
        )


def test_a_group_with_nothing_left_to_do_is_finished_at_once(tmp_path: Path) -> None:
    finished = []
    groups = [
        TaskGroup("empty", [], lambda task, result: None, lambda last: finished.append(("empty", last))),
        TaskGroup(
            "one", [Add("a", 1, tmp_path, ("old",))], lambda task, result: finished.append(result), known={"old": 5}
        ),
    ]
    run_groups(groups, SERIAL, lambda group, seconds: finished.append((group.name, seconds >= 0)))
    assert finished == [("empty", False), ("empty", True), 6, ("one", True)]


# ------------------------------------------------------------------------------------------------------ workers


def test_workers_that_keep_dying_are_given_up_by_name(tmp_path: Path) -> None:
    pool = DyingPool(2)
    with pytest.raises(LowshotError, match=r"^x: 2 workers died that did nothing else \(out of memory\)"):
        sums(EngineWithPool("loky", given=pool), [Add("x", 0, tmp_path), Add("y", 0, tmp_path, group="other")])
    assert len(pool.rounds) == 3
    assert not noted(tmp_path)


def test_auto_starts_here_and_goes_on_in_workers_when_that_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = InlinePool(2)
    auto = EngineWithPool("auto", 2, given=pool)
    assert sums(auto, chain(tmp_path)) == CHAIN_SUMS
    assert not pool.reported
    monkeypatch.setattr(scheduler, "HANDOVER_SECONDS", 0.0)
    assert sums(auto, chain(tmp_path)) == CHAIN_SUMS
    assert sum(pool.reported) == len(CHAIN_SUMS) - 1
    pool.reported.clear()
    assert sums(EngineWithPool("auto", 1, given=pool), chain(tmp_path)) == CHAIN_SUMS
    assert not pool.reported


class SlowImport(Add):
    """A task that is the first to import torch, which takes a while, and then has little to do."""

    def run(self, *needed: int) -> int:
        time.sleep(0.3)
        sys.modules["torch"] = torch
        return super().run(*needed)


def test_auto_takes_no_workers_because_torch_was_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "HANDOVER_SECONDS", 5.0)
    pool = InlinePool(2)
    tasks = [SlowImport("first", 0, tmp_path), *(Add(f"{i}", i, tmp_path) for i in range(100))]
    monkeypatch.delitem(sys.modules, "torch")
    sums(EngineWithPool("auto", 2, given=pool), tasks)
    assert not pool.reported
    sums(EngineWithPool("auto", 2, given=pool), tasks)  # now the first task itself takes that long
    assert sum(pool.reported) == 100


def test_auto_moves_on_to_as_many_workers_as_were_asked_for() -> None:
    with Engine("auto", 3).pool() as pool:
        assert pool.size == 3


def test_a_worker_reports_after_a_while_and_gets_the_rest_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = InlinePool(2)
    tasks = [Add(f"a{i}", i, tmp_path) for i in range(32)]
    sums(EngineWithPool("loky", given=pool), tasks)
    assert pool.reported == [4] * 8
    pool.reported.clear()
    monkeypatch.setattr(scheduler, "REPORT_SECONDS", 0.0)
    sums(EngineWithPool("loky", given=pool), tasks)
    assert set(pool.reported) == {1}
    assert len(pool.reported) == 32
