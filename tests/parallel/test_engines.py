"""Tasks in worker processes: the same results from every engine, whoever dies."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest

from lowshot.errors import InputError, LowshotError
from lowshot.parallel import Engine, TaskGroup, run_groups
from lowshot.parallel.engines import Call, Pool
from tests.parallel.tasks import CHAIN_SUMS, Add, DieAlways, DieOnce, chain, noted, sums

LOKY = Engine("loky", 2)


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    """A Ray cluster of two workers on this machine, started once for all tests here."""
    pytest.importorskip("ray")
    from lowshot.parallel.ray_cluster import ray_cluster

    with ray_cluster(2, None):
        yield Engine("ray", 2)


@pytest.fixture(params=["loky", "ray"])
def workers(request: pytest.FixtureRequest) -> Engine:
    return LOKY if request.param == "loky" else request.getfixturevalue("ray_engine")


def test_every_engine_gives_the_same_results(workers: Engine, tmp_path: Path) -> None:
    assert sums(workers, chain(tmp_path)) == CHAIN_SUMS
    assert sorted(noted(tmp_path)) == sorted(CHAIN_SUMS)


def test_tasks_outlive_a_worker_that_dies(workers: Engine, tmp_path: Path) -> None:
    tasks = [Add(f"a{i}", i, tmp_path) for i in range(6)]
    tasks.insert(2, DieOnce("deadly", 100, tmp_path))
    assert sums(workers, tasks) == {**{f"a{i}": i for i in range(6)}, "deadly": 100}
    assert (tmp_path / "deadly died").exists()
    assert noted(tmp_path).count("deadly") == 1


def test_what_was_reported_before_a_death_is_not_run_again(tmp_path: Path) -> None:
    tasks = [*(Add(f"a{i}", i, tmp_path) for i in range(3)), DieOnce("deadly", 9, tmp_path, ("a0", "a1", "a2"))]
    sums(LOKY, [*tasks, Add("last", 0, tmp_path, ("deadly",))])
    assert sorted(noted(tmp_path)) == ["a0", "a1", "a2", "deadly", "last"]


def test_a_task_that_no_worker_survives_ends_its_own_group_only(tmp_path: Path) -> None:
    done: list[str] = []
    groups = [
        TaskGroup("doomed", [DieAlways("deadly", 0, tmp_path)], lambda task, result: None),
        TaskGroup("fine", [Add(f"a{i}", i, tmp_path) for i in range(3)], lambda task, result: done.append(task.key)),
    ]
    with pytest.raises(LowshotError, match=r"^deadly: 2 workers died"):
        run_groups(groups, LOKY)
    assert sorted(done) == ["a0", "a1", "a2"]


def test_more_workers_than_the_cluster_has_are_refused(ray_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers is 64, but the Ray cluster has 2 cores"):
        sums(Engine("ray", 64), [Add("a", 1, tmp_path)])


def test_without_ray_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "lowshot.parallel.ray_cluster", raising=False)
    with pytest.raises(InputError, match=r"pip install 'lowshot\[ray\]'"):
        sums(Engine("ray", 2), [Add("a", 1, tmp_path)])


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


def test_a_pool_is_no_larger_than_what_is_left_of_a_cluster() -> None:
    left = iter([3, 1, 0])
    pool = Pool(2, (), lambda: next(left))
    with joblib.parallel_config("threading"):
        assert [_most_at_a_time(pool) for _ in range(3)] == [2, 1, 1]


def _most_at_a_time(pool: Pool) -> int:
    """The largest number of calls that a pool of threads computes at the same time."""
    lock, running, most = threading.Lock(), 0, 0

    def compute() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1

    calls: list[Call] = [(compute, ()) for _ in range(6)]
    assert len(list(pool.results(calls))) == 6
    return most
