"""Photos of all requests, decoded by threads and computed together: whatever is waiting makes the next batch.

Nothing is delayed to fill a batch. While one batch is computed the next one gathers, so that batches grow with the
load and a single client waits for its own photo alone.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from lowshot.recogniser.batches import BATCH
from lowshot.recogniser.photos import Photo
from lowshot.server.computing import Computation


class Batcher:
    """Computes photos in this process.

    Args:
        computation (Computation): What is done with a photo and with a batch.
        observe (callable): The function that is called with the size of each batch.
    """

    def __init__(self, computation: Computation, observe: Callable[[int], None] = lambda size: None) -> None:
        self._computation = computation
        self._observe = observe
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "decode")
        self._ready: deque[tuple[Future[Any], Any]] = deque()
        self._condition = threading.Condition()
        self._open = True
        self._waiting = 0
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The number of photos that were submitted and are not computed."""
        return self._waiting

    def submit(self, photo: Photo, details: bool = False) -> Future[Any]:
        """Have a photo computed.

        Args:
            photo (Photo): The photo.
            details (bool): True adds what teaching needs: the perceptual hash and the thumbnail.

        Returns:
            The future of what the computation makes of it.
        """
        future: Future[Any] = Future()
        with self._condition:
            self._waiting += 1
        future.add_done_callback(self._done)
        self._pool.submit(self._prepare, future, photo, details)
        return future

    def close(self) -> None:
        """End the threads; photos that wait are cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._condition:
            self._open = False
            self._condition.notify()
        self._thread.join()

    def _done(self, future: Future[Any]) -> None:
        with self._condition:
            self._waiting -= 1

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
            self._condition.notify()

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
            return [self._ready.popleft() for _ in range(min(BATCH, len(self._ready)))]
