"""A Ray cluster as workers of joblib: joined, or started on this machine. Needs the extra ``ray``."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import joblib
import ray
from ray.util.joblib.ray_backend import RayBackend

from lowshot.errors import InputError, LowshotError

_BACKEND = "lowshot-ray"
# How often to try to start Ray, and what its object store gets: tasks and records are small.
_STARTS = 3
_STORE_BYTES = 1 << 27

_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


class Cluster(NamedTuple):
    """A Ray cluster in use.

    Attributes:
        backend (str): The name that joblib knows it by.
        workers (int): The number of workers wanted.
        deaths (tuple): The exceptions that a call raises whose worker died.
        cores (callable): Counts the cores there are now: actors beyond them would wait for a lost node for ever.
    """

    backend: str
    workers: int
    deaths: tuple[type[BaseException], ...]
    cores: Callable[[], int]


@contextlib.contextmanager
def ray_cluster(workers: int | None, address: str | None) -> Iterator[Cluster]:
    """Join a cluster, or start one for the time of the block.

    A cluster that this process has joined before is used as it is, and left alone afterwards.

    Raises:
        InputError: There is no cluster at ``address``, or it has fewer cores than ``workers``.
        LowshotError: Ray does not start.
    """
    joblib.register_parallel_backend(_BACKEND, StreamingRayBackend)
    logging.getLogger("ray.util.multiprocessing.pool").setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    if ours:
        _start(workers or joblib.cpu_count()) if address is None else _join(address)
    try:
        cores = _cores()
        if (workers or 1) > cores:
            raise InputError(f"workers is {workers}, but the Ray cluster has {cores} cores")
        yield Cluster(_BACKEND, workers or cores, (ray.exceptions.RayError,), _cores)
    finally:
        if ours:
            ray.shutdown()


class StreamingRayBackend(RayBackend):
    """Ray's backend of joblib, with results that come one by one, and calls that go to whoever has least to do.

    joblib allows the first to pools that report each result, as Ray's does. Ray's pool deals calls out in turn, so that
    a worker with a long task would collect further ones while its neighbour has none.
    """

    supports_return_generator = True

    def submit(self, func: Callable[..., Any], callback: Callable[[Any], None] | None = None) -> Any:
        with self._lock:
            index = min(range(len(self._pool._actor_pool)), key=self._waiting.__getitem__)
            self._waiting[index] += 1
            self._pool._next_actor_index = lambda: index

            def done(result: Any) -> None:
                with self._lock:
                    self._waiting[index] -= 1
                if callback is not None:
                    callback(result)

            return super().submit(func, done)

    def configure(self, *args: Any, **kwargs: Any) -> int:
        self._lock = threading.RLock()
        self._waiting: Counter[int] = Counter()
        size: int = super().configure(*args, **kwargs)
        return size


def _cores() -> int:
    return int(ray.cluster_resources().get("CPU", 0))


def _join(address: str) -> None:
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"there is no Ray cluster to join at {address}: {reason}") from error


def _start(workers: int) -> None:
    for left in reversed(range(_STARTS)):
        try:
            ray.init(
                num_cpus=workers,
                object_store_memory=_STORE_BYTES,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                **_QUIET,
            )
            return
        except Exception as error:  # Ray has no type of its own for it: on a busy machine its parts wait in vain
            ray.shutdown()
            if not left:
                raise LowshotError(f"Ray did not start on this machine: {error}") from error
