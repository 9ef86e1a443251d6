"""Sweeps: the same results from every engine, whatever order, whoever dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lowshot.errors import InputError, LowshotError
from lowshot.parallel import engines, scheduler
from lowshot.parallel.engines import Engine, WorkersLost
from lowshot.parallel.scheduler import TaskGroup, run_groups, run_tasks
from tests.parallel.tasks import Add, DieAlways, DieOnce, Raise, noted

LOKY = Engine("loky", 2)


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    """A Ray cluster of two workers on this machine, started once for all tests here."""
    pytest.importorskip("ray")
    engine = Engine("ray", 2)
    with engine._cluster():
        yield engine


@pytest.fixture(params=["loky", "ray"])
def workers(request: pytest.FixtureRequest) -> Engine:
    return LOKY if request.param == "loky" else request.getfixturevalue("ray_engine")


def sums(engine: Engine, tasks: list[Any]) -> dict[str, int]:
    """The results of tasks, each of which must be reported once."""
    results: dict[str, int] = {}

    def done(task: Add, result: int) -> None:
        assert task.key not in results
        results[task.key] = result

    run_tasks(tasks, engine, done)
    return results


def chain(folder: Path) -> list[Add]:
    """Four tasks, and four that each need two of those."""
    first = [Add(f"a{i}", 10 * i, folder, group=f"g{i % 2}") for i in range(4)]
    return first + [Add(f"b{i}", i, folder, (f"a{i}", f"a{(i + 1) % 4}")) for i in range(4)]


EXPECTED = {"a0": 0, "a1": 10, "a2": 20, "a3": 30, "b0": 10, "b1": 31, "b2": 52, "b3": 33}


def test_every_engine_gives_the_same_results(workers: Engine, tmp_path: Path) -> None:
    assert sums(workers, chain(tmp_path)) == EXPECTED
    assert sorted(noted(tmp_path)) == sorted(EXPECTED)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_tasks_run_in_any_order_once_what_they_need_is_there(tmp_path: Path, order: slice) -> None:
    assert sums(Engine("serial"), chain(tmp_path)[order]) == EXPECTED
    assert sorted(noted(tmp_path)) == sorted(EXPECTED)


def test_a_sweep_outlives_a_worker_that_dies(workers: Engine, tmp_path: Path) -> None:
    tasks = [Add(f"a{i}", i, tmp_path) for i in range(6)]
    tasks.insert(2, DieOnce("deadly", 100, tmp_path))
    assert sums(workers, tasks) == {**{f"a{i}": i for i in range(6)}, "deadly": 100}
    assert (tmp_path / "deadly died").exists()
    assert noted(tmp_path).count("deadly") == 1


def test_what_was_reported_before_a_death_is_not_run_again(tmp_path: Path) -> None:
    tasks = [*(Add(f"a{i}", i, tmp_path) for i in range(3)), DieOnce("deadly", 9, tmp_path, ("a0", "a1", "a2"))]
    sums(LOKY, [*tasks, Add("last", 0, tmp_path, ("deadly",))])
    assert sorted(noted(tmp_path)) == ["a0", "a1", "a2", "deadly", "last"]


def test_workers_that_keep_dying_are_given_up_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def deadly(pool: engines.Pool, calls: Any) -> Iterator[Any]:
        attempts.append(len(list(calls)))
        raise WorkersLost("out of memory")
        yield

    monkeypatch.setattr(engines.Pool, "results", deadly)
    with pytest.raises(LowshotError, match=r"^x: 2 workers died that did nothing else \(out of memory\)"):
        sums(LOKY, [DieAlways("x", 0, tmp_path), DieAlways("y", 0, tmp_path, group="other")])
    assert len(attempts) == 3


def test_a_task_that_no_worker_survives_ends_its_own_job_only(tmp_path: Path) -> None:
    done: list[str] = []
    jobs = [
        TaskGroup("doomed", [DieAlways("deadly", 0, tmp_path)], lambda task, result: None),
        TaskGroup("fine", [Add(f"a{i}", i, tmp_path) for i in range(3)], lambda task, result: done.append(task.key)),
    ]
    with pytest.raises(LowshotError, match=r"^deadly: 2 workers died"):
        run_groups(jobs, LOKY)
    assert sorted(done) == ["a0", "a1", "a2"]


def test_a_job_that_cannot_be_finished_names_itself_and_stops_no_other(tmp_path: Path) -> None:
    def refuse(last: bool) -> None:
        raise InputError("nothing here is a number")

    done: list[str] = []
    jobs = [
        TaskGroup("hopeless", [], lambda task, result: None, finish=refuse),
        TaskGroup("fine", [Add("a", 1, tmp_path)], lambda task, result: done.append(task.key)),
    ]
    with pytest.raises(InputError, match=r"^hopeless: nothing here is a number"):
        run_groups(jobs, Engine("serial"))
    assert done == ["a"]


def test_a_pool_is_no_larger_than_what_is_left_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(engines.joblib, "Parallel", lambda n_jobs, **rest: asked.append(n_jobs) or (lambda calls: []))
    left = iter([3, 1, 0])
    pool = engines.Pool(2, (), lambda: next(left))
    assert [list(pool.results([])) for _ in range(3)] == [[], [], []]
    assert asked == [2, 1, 1]


@pytest.mark.parametrize("engine", [Engine("serial"), LOKY])
def test_a_task_that_raises_is_named_and_ends_its_own_job_alone(engine: Engine, tmp_path: Path) -> None:
    done: list[str] = []
    finished: list[tuple[str, bool]] = []

    def job(name: str, tasks: list[Add]) -> TaskGroup:
        return TaskGroup(
            name, tasks, lambda task, result: done.append(task.key), lambda last: finished.append((name, last))
        )

    bad = job("bad", [Add("fine", 1, tmp_path), Raise("odd", 1, tmp_path), Add("after", 1, tmp_path, ("odd",))])
    good = job("good", [Add(f"good{i}", i, tmp_path) for i in range(3)])
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
            Engine("serial"),
        )


def test_a_job_with_nothing_left_is_finished_at_once(tmp_path: Path) -> None:
    finished = []
    jobs = [
        TaskGroup("empty", [], lambda task, result: None, lambda last: finished.append(("empty", last))),
        TaskGroup(
            "one", [Add("a", 1, tmp_path, ("old",))], lambda task, result: finished.append(result), known={"old": 5}
        ),
    ]
    run_groups(jobs, Engine("serial"), lambda job, seconds: finished.append((job.name, seconds >= 0)))
    assert finished == [("empty", False), ("empty", True), 6, ("one", True)]


def test_auto_starts_here_and_goes_on_in_workers_when_that_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = []
    monkeypatch.setattr(engines.Pool, "results", lambda pool, calls: pools.append(pool) or map(_called, calls))
    auto = Engine("auto", 2)
    assert sums(auto, chain(tmp_path)) == EXPECTED
    assert not pools
    monkeypatch.setattr(scheduler, "HANDOVER_SECONDS", 0.0)
    assert sums(auto, chain(tmp_path)) == EXPECTED
    assert {pool.size for pool in pools} == {2}
    pools.clear()
    assert sums(Engine("auto", 1), chain(tmp_path)) == EXPECTED
    assert not pools


def _called(call: engines.Call) -> Any:
    function, arguments = call
    return function(*arguments)


def test_a_worker_reports_after_a_while_and_gets_the_rest_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    monkeypatch.setattr(
        engines.Pool, "results", lambda pool, calls: (sizes.append(len(r)) or r for r in map(_called, calls))
    )
    tasks = [Add(f"a{i}", i, tmp_path) for i in range(32)]
    sums(LOKY, tasks)
    assert sizes == [4] * 8
    sizes.clear()
    monkeypatch.setattr(scheduler, "REPORT_SECONDS", 0.0)
    sums(LOKY, tasks)
    assert set(sizes) == {1}
    assert len(sizes) == 32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lokky",), r"there is no engine 'lokky'. Did you mean 'loky'\?"),
        (("loky", 0), "workers is 0: at least one"),
        (("loky", 2, "auto"), r"an address \(auto\) is that of a Ray cluster: give it with engine ray"),
    ],
)
def test_an_engine_that_makes_no_sense_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Engine(*arguments)


def test_without_ray_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "lowshot.parallel.ray_cluster", raising=False)
    with pytest.raises(InputError, match=r"pip install 'lowshot\[ray\]'"):
        sums(Engine("ray", 2), [Add("a", 1, tmp_path)])


def test_more_workers_than_the_cluster_has_are_refused(ray_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers is 64, but the Ray cluster has 2 cores"):
        sums(Engine("ray", 64), [Add("a", 1, tmp_path)])


def test_libraries_compute_on_one_thread_and_get_the_others_back() -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with engines.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
