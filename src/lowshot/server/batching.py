"""Photos of all requests, decoded by threads and computed together: whatever is waiting makes the next batch.

Nothing is delayed to fill a batch. While one batch is computed the next one gathers, so that batches grow with the
load and a single client waits for its own photo alone. The threads decode a photo of each request in turn, and one
thread at most is busy with large photos.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from lowshot.recogniser.batches import BATCH
from lowshot.recogniser.photos import Photo
from lowshot.server.computing import Computation
from lowshot.server.turns import Turns, takes_long

PREPARED = 4 * BATCH
"""The number of decoded photos that may wait for the network; at 224 pixels each takes 0.6 MB."""


@dataclass
class _Job:
    photo: Photo
    details: bool
    request: object
    future: Future[Any] = field(default_factory=Future)


class Batcher:
    """Computes photos in this process.

    Args:
        computation (Computation): What is done with a photo and with a batch.
        observe (callable): The function that is called with the size of each batch.
    """

    def __init__(self, computation: Computation, observe: Callable[[int], None] = lambda size: None) -> None:
        self._computation = computation
        self._observe = observe
        self._jobs: Turns[_Job] = Turns()
        self._large: Turns[_Job] = Turns()
        self._decoding_large = False
        self._ready: deque[tuple[Future[Any], Any]] = deque()
        self._condition = threading.Condition()
        self._open = True
        self._waiting = 0
        n = max(2, os.cpu_count() or 1)  # two, so that one remains beside a large photo
        self._threads = [threading.Thread(target=self._decode, name="decode", daemon=True) for _ in range(n)]
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        for thread in (*self._threads, self._thread):
            thread.start()

    @property
    def waiting(self) -> int:
        """The number of photos that were submitted and are not computed."""
        return self._waiting

    def submit(self, photo: Photo, details: bool = False, request: object = None) -> Future[Any]:
        """Have a photo computed.

        Args:
            photo (Photo): The photo.
            details (bool): True adds what teaching needs: the perceptual hash and the thumbnail.
            request (object): The request that it is of; requests take turns.

        Returns:
            The future of what the computation makes of it.
        """
        job = _Job(photo, details, request)
        job.future.add_done_callback(self._done)
        with self._condition:
            self._waiting += 1
            self._jobs.append(job, request)
            self._condition.notify_all()
        return job.future

    def close(self) -> None:
        """End the threads; photos that wait are cancelled."""
        with self._condition:
            self._open = False
            cancelled = self._jobs.clear() + self._large.clear()
            self._condition.notify_all()
        for job in cancelled:
            job.future.cancel()
        for thread in (*self._threads, self._thread):
            thread.join()

    def _done(self, future: Future[Any]) -> None:
        with self._condition:
            self._waiting -= 1

    def _decode(self) -> None:
        while (taken := self._take()) is not None:
            job, large = taken
            if not large:
                if job.future.cancelled():
                    continue
                try:
                    large = takes_long(job.photo)
                except BaseException as error:
                    if job.future.set_running_or_notify_cancel():
                        job.future.set_exception(error)
                    continue
                if large:  # a thread takes it when it may
                    with self._condition:
                        self._large.append(job, job.request)
                        self._condition.notify_all()
                    continue
            try:
                self._prepare(job.future, job.photo, job.details)
            finally:
                if large:
                    with self._condition:
                        self._decoding_large = False
                        self._condition.notify_all()

    def _take(self) -> tuple[_Job, bool] | None:
        """The next photo to decode, and True where it is a large one; None at the end."""
        with self._condition:
            while self._open:
                if len(self._ready) < PREPARED:
                    if self._large and not self._decoding_large:
                        self._decoding_large = True
                        return self._large.pop(), True
                    if self._jobs:
                        return self._jobs.pop(), False
                self._condition.wait()
            return None

    def _prepare(self, future: Future[Any], photo: Photo, details: bool) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            prepared, complete = self._computation.prepare(photo, details)
        except BaseException as error:
            future.set_exception(error)
            return
        if complete:
            future.set_result(prepared)
            return
        with self._condition:
            self._ready.append((future, prepared))
            self._condition.notify_all()

    def _run(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(self._computation)
            while batch := self._next():
                self._observe(len(batch))
                try:
                    results = self._computation.compute([prepared for _, prepared in batch])
                except BaseException as error:
                    for future, _ in batch:
                        future.set_exception(error)
                else:
                    for (future, _), result in zip(batch, results, strict=True):
                        future.set_result(result)

    def _next(self) -> list[tuple[Future[Any], Any]]:
        with self._condition:
            while self._open and not self._ready:
                self._condition.wait()
            batch = [self._ready.popleft() for _ in range(min(BATCH, len(self._ready)))]
            self._condition.notify_all()  # there is room for prepared ones
            return batch
