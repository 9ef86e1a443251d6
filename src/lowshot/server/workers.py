"""Photos computed by several processes, which know nothing of the recogniser's classes and so of no change.

A process that is killed, or that does not answer, is replaced, and its photos go to another one, each alone. A photo
that ends its process every time is refused.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from lowshot.errors import InputError, LowshotError
from lowshot.recogniser.batches import BATCH
from lowshot.recogniser.photos import Photo
from lowshot.server.computing import Computation
from lowshot.server.problems import Problem
from lowshot.server.turns import Turns, takes_long

TRIES = 3
"""The number of processes that a photo may end."""

_START_SECONDS = 300.0


@dataclass
class _Job:
    photo: Photo
    details: bool
    request: object
    future: Future[Any] = field(default_factory=Future)
    tries: int = 0
    started: bool = False


class _DiedError(Exception):
    """A process ended, or did not answer in time."""


class WorkerPool:
    """Computes photos in other processes; used like a :class:`~lowshot.server.batching.Batcher`.

    Args:
        n (int): The number of processes.
        make (callable): The picklable function that makes the computation, called in each process.
        observe (callable): The function that is called with the size of each batch.
        seconds (float): The time that a batch may take.

    Raises:
        InputError: The computation cannot be made.
        LowshotError: A process ended before it was ready.
    """

    def __init__(
        self,
        n: int,
        make: Callable[[], Computation],
        observe: Callable[[int], None] = lambda size: None,
        seconds: float = 60.0,
    ) -> None:
        self._make = partial(_Worker, make, max(1, (os.cpu_count() or 1) // n), seconds)
        self._observe = observe
        self._jobs: Turns[_Job] = Turns()
        self._retried: deque[_Job] = deque()
        self._condition = threading.Condition()
        self._open = True
        self._waiting = 0
        self.workers = [self._make() for _ in range(n)]
        try:
            for worker in self.workers:
                worker.wait_until_ready()
        except LowshotError:
            for worker in self.workers:
                worker.end()
            raise
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(n)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """The number of photos that were submitted and are not computed."""
        return self._waiting

    def submit(self, photo: Photo, details: bool = False, request: object = None) -> Future[Any]:
        """Have a photo computed; see :meth:`lowshot.server.batching.Batcher.submit`."""
        job = _Job(photo, details, request)
        with self._condition:
            self._waiting += 1
            self._jobs.append(job, request)
            self._condition.notify()
        job.future.add_done_callback(self._done)
        return job.future

    def close(self) -> None:
        """End the processes; photos that wait are cancelled."""
        with self._condition:
            self._open = False
            cancelled = [*self._jobs.clear(), *self._retried]
            self._retried.clear()
            self._condition.notify_all()
        for job in cancelled:
            if not job.future.cancel():  # one of a process that ended
                job.future.set_exception(LowshotError("the server ends"))
        for thread in self._threads:
            thread.join()
        for worker in self.workers:
            worker.end()

    def _done(self, future: Future[Any]) -> None:
        with self._condition:
            self._waiting -= 1

    def _run(self, number: int) -> None:
        while jobs := self._next():
            ready = [job for job in jobs if job.started or job.future.set_running_or_notify_cancel()]
            for job in ready:
                job.started = True
            try:
                ready = self._with_one_large(ready)
                self._compute(number, ready)
            except BaseException as error:
                for job in ready:
                    if not job.future.done():
                        job.future.set_exception(error)

    def _with_one_large(self, jobs: list[_Job]) -> list[_Job]:
        """The jobs with one large photo at most; others are put back, since a batch ends with its last photo."""
        if len(jobs) < 2:
            return jobs
        large = [job for job in jobs if takes_long(job.photo)][1:]
        if large:
            with self._condition:
                for job in reversed(large):
                    self._jobs.put_back(job, job.request)
                self._condition.notify_all()
        return [job for job in jobs if not any(job is other for other in large)]

    def _compute(self, number: int, jobs: list[_Job]) -> None:
        items = []
        for job in jobs:
            source = job.photo.source
            content = source() if callable(source) else source
            items.append((Photo(job.photo.name, content), job.details))
        if not items:
            return
        self._observe(len(items))
        try:
            results = self.workers[number].compute(items)
        except _DiedError:
            self.workers[number].end()
            self._again(jobs)
            with contextlib.suppress(LowshotError):  # without a new one, the next photos find none and go to others
                self.workers[number] = self._make()
                self.workers[number].wait_until_ready()
            return
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)

    def _again(self, jobs: list[_Job]) -> None:
        """Put the jobs of a process that ended at the front, each to be done alone."""
        retried = []
        for job in jobs:
            job.tries += 1
            if job.tries >= TRIES:
                reason = "ends every process that decodes it"
                job.future.set_exception(Problem(422, f"the photo {reason}", file=job.photo.name))
            else:
                retried.append(job)
        with self._condition:
            self._retried.extendleft(reversed(retried))
            self._condition.notify_all()

    def _next(self) -> list[_Job]:
        with self._condition:
            while self._open and not self._jobs and not self._retried:
                self._condition.wait()
            if self._retried:
                return [self._retried.popleft()]
            share = min(BATCH, -(-len(self._jobs) // len(self.workers)))
            return [self._jobs.pop() for _ in range(share)]


class _Worker:
    """A process that computes, as the server sees it."""

    def __init__(self, make: Callable[[], Computation], threads: int, seconds: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._seconds = seconds
        self._connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, make), daemon=True, name="lowshot serve worker")
        with _threads_of_children(threads):
            self.process.start()
        other.close()

    def wait_until_ready(self) -> None:
        try:
            answer = self._receive(_START_SECONDS)
        except _DiedError:
            raise LowshotError("a worker process ended before it was ready") from None
        if isinstance(answer, str):
            raise InputError(answer)

    def compute(self, items: list[tuple[Photo, bool]]) -> list[Any]:
        try:
            self._connection.send(items)
        except OSError:
            raise _DiedError from None
        answer = self._receive(self._seconds)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def end(self) -> None:
        self._connection.close()
        self.process.join(0.2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def _receive(self, seconds: float) -> Any:
        try:
            if self._connection.poll(seconds):
                return self._connection.recv()
        except (EOFError, OSError):
            pass
        raise _DiedError


def _work(connection: Connection, make: Callable[[], Computation]) -> None:
    """Compute what comes until the server ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the server ends this one
    try:
        computation = make()
    except LowshotError as error:
        connection.send(str(error))
        return
    with computation, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(None)
        while True:
            items = connection.recv()
            try:
                results: Any = _computed(computation, items)
            except Exception as error:
                results = LowshotError(f"{type(error).__name__}: {error}")
            connection.send(results)


def _computed(computation: Computation, items: list[tuple[Photo, bool]]) -> list[Any]:
    results = [computation.prepare(photo, details) for photo, details in items]
    waiting = [prepared for prepared, complete in results if not complete]
    computed = iter(computation.compute(waiting) if waiting else ())
    return [prepared if complete else next(computed) for prepared, complete in results]


@contextlib.contextmanager
def _threads_of_children(n: int) -> Iterator[None]:
    """Processes that start within the block compute with n threads each."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = before or str(n)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
