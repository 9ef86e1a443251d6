"""Where tasks are computed: in this process, in worker processes (loky), or on a Ray cluster; always with one thread.

A matrix product that is split over threads adds up in another order, so the last digits of a result would follow the
number of cores. A task therefore computes on one thread wherever it runs, and cores are filled with tasks: the same
results from any engine and any number of workers, and never more busy threads than workers.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool
from threadpoolctl import threadpool_limits

from lowshot.errors import InputError, did_you_mean

KINDS = ("auto", "serial", "loky", "ray")

# What joblib knows our use of Ray as.
RAY_BACKEND = "lowshot-ray"

# One call of a worker: a function and its arguments, all of which can be pickled.
Call = tuple[Callable[..., Any], tuple[Any, ...]]


class WorkersLost(RuntimeError):
    """A worker died; what it had not handed back is unfinished."""


@dataclass(frozen=True)
class Engine:
    """Where tasks are computed.

    Attributes:
        kind: "serial" in this process; "loky" in worker processes on this machine; "ray" on a Ray cluster (extra
            ``ray``); "auto" starts in this process and moves on to worker processes once what is left would take long
            enough to pay for starting them.
        workers: how many tasks are computed at a time; None takes the cores of this machine, or those of the cluster.
        address: of a running Ray cluster, such as "auto" or "ray://HOST:10001"; None starts one on this machine.

    Raises:
        InputError: an unknown kind, no worker, an address without Ray.
    """

    kind: str = "auto"
    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"there is no engine {self.kind!r}. {did_you_mean(self.kind, KINDS)}")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers is {self.workers}: at least one is needed")
        if self.address is not None and self.kind != "ray":
            raise InputError(f"an address ({self.address}) is that of a Ray cluster: give it with engine ray")

    @property
    def local_workers(self) -> int:
        """How many workers this machine gets."""
        return self.workers or joblib.cpu_count()

    @contextlib.contextmanager
    def pool(self) -> Iterator[Pool]:
        """Workers for one sweep: loky's for "auto" and "loky", else Ray's."""
        if self.kind == "ray":
            with self._cluster() as (workers, deaths, room), _workers(RAY_BACKEND, workers, deaths, room) as pool:
                yield pool
        else:
            # loky passes the limit on to its processes before they load any numeric library.
            with _workers("loky", self.local_workers, (BrokenProcessPool,), None, inner_max_num_threads=1) as pool:
                yield pool

    def _cluster(self) -> AbstractContextManager[tuple[int, tuple[type[BaseException], ...], Callable[[], int]]]:
        try:
            from lowshot.parallel.ray_cluster import ray_cluster
        except ImportError:
            raise InputError("engine ray needs the package ray: pip install 'lowshot[ray]'") from None
        return ray_cluster(self.workers, self.address)


class Pool:
    """Workers that compute calls.

    Args:
        size: how many are wanted.
        deaths: what a call raises whose worker died.
        room: how many there is room for now; on a cluster that may have shrunk.
    """

    def __init__(
        self, size: int, deaths: tuple[type[BaseException], ...], room: Callable[[], int] | None = None
    ) -> None:
        self.size = size
        self._deaths = deaths
        self._room = room

    def results(self, calls: Iterable[Call]) -> Iterator[Any]:
        """The results of the calls as they come.

        Raises:
            WorkersLost: a worker died. The next use of the pool starts fresh ones.
        """
        n_jobs = self.size if self._room is None else max(1, min(self.size, self._room()))
        parallel = joblib.Parallel(n_jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
        try:
            yield from parallel(joblib.delayed(function)(*arguments) for function, arguments in calls)
        except self._deaths as error:
            raise WorkersLost(str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")) from error


@contextlib.contextmanager
def _workers(
    backend: str,
    size: int,
    deaths: tuple[type[BaseException], ...],
    room: Callable[[], int] | None,
    **options: Any,
) -> Iterator[Pool]:
    with joblib.parallel_config(backend, n_jobs=size, **options):
        yield Pool(size, deaths, room)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within the block the numeric libraries that are loaded compute on one thread."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        if torch:
            torch.set_num_threads(before)
