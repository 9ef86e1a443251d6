"""The engines that compute tasks: this process, worker processes (loky), or a Ray cluster; always with one thread.

A matrix product that is split over threads adds up in another order, so the last digits of a result would follow the
number of cores. A task therefore computes on one thread wherever it runs, and cores are filled with tasks: the same
results from any engine and any number of workers, and never more busy threads than workers.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from lowshot.errors import InputError, did_you_mean
from lowshot.parallel.orphans import ending_with_this_process

KINDS = ("auto", "serial", "loky", "ray")

# One call of a worker: a function and its arguments, all of which can be pickled.
Call = tuple[Callable[..., Any], tuple[Any, ...]]


class WorkersLost(RuntimeError):
    """A worker died; what it had not handed back is unfinished."""


@dataclass(frozen=True)
class Engine:
    """The place where tasks are computed.

    Attributes:
        kind (str): "serial" in this process; "loky" in worker processes on this machine; "ray" on a Ray cluster (extra
            ``ray``); "auto" starts in this process and moves on to worker processes once what is left would take long
            enough to pay for starting them.
        workers (int or None): The number of tasks computed at a time; None takes the cores of this machine, or those
            of the cluster.
        address (str or None): The address of a running Ray cluster, such as "auto" or "ray://HOST:10001"; None starts
            one on this machine.

    Raises:
        InputError: An unknown kind, no worker, or an address without Ray.
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
        """The number of workers that this machine gets."""
        return self.workers or joblib.cpu_count()

    @contextlib.contextmanager
    def pool(self) -> Iterator[Pool]:
        """Workers, for as long as the block lasts: loky's for "auto" and "loky", else Ray's."""
        if self.kind == "ray":
            with self._cluster() as cluster, joblib.parallel_config(cluster.backend, n_jobs=cluster.workers):
                yield Pool(cluster.workers, cluster.deaths, cluster.cores)
        else:
            # loky passes the limit on to its processes before they load any numeric library.
            options = ending_with_this_process()
            settings = joblib.parallel_config("loky", n_jobs=self.local_workers, inner_max_num_threads=1, **options)
            with settings, warnings.catch_warnings():
                # A worker that has grown is replaced between tasks, as it should be: nothing for the user to do.
                warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
                yield Pool(self.local_workers, (BrokenProcessPool,))

    def _cluster(self) -> AbstractContextManager[Any]:
        try:
            from lowshot.parallel.ray_cluster import ray_cluster
        except ImportError:
            raise InputError("engine ray needs the package ray: pip install 'lowshot[ray]'") from None
        return ray_cluster(self.workers, self.address)


class Pool:
    """Workers that compute calls.

    Args:
        size (int): The number of workers wanted.
        deaths (tuple): The exceptions that a call raises whose worker died.
        room (callable): The number of workers there is room for now; a cluster may have shrunk.
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
def one_thread() -> Iterator[None]:
    """Numeric libraries compute on one thread within the block, those that it is the first to load too.

    After the block, libraries that were there before it have their threads back, and those that it loaded have as many
    as they would have taken outside: ``OMP_NUM_THREADS``, else one a core.
    """
    torch = sys.modules.get("torch")
    known = {library["filepath"] for library in threadpool_info()}
    before = torch.get_num_threads() if torch else 0
    openmp = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    if torch:
        torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        if openmp is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = openmp
        default = int((openmp or str(joblib.cpu_count())).partition(",")[0])
        for library in ThreadpoolController().lib_controllers:
            if library.filepath not in known:
                library.set_num_threads(default)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(before or default)
