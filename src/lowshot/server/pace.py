"""How many photos of a request are with the network at a time, how many requests there are, and how long they wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Protocol

from lowshot.recogniser.photos import Photo
from lowshot.server.limits import Limits
from lowshot.server.problems import busy


class Computes(Protocol):
    """A :class:`~lowshot.server.batching.Batcher`, or worker processes in its place."""

    @property
    def waiting(self) -> int: ...

    def submit(self, photo: Photo, details: bool = False, request: object = None) -> Future[Any]: ...

    def close(self) -> None: ...


class Pace:
    """Lets requests have photos computed, each a few at a time.

    Args:
        computes (Computes): What computes photos.
        limits (Limits): The limits.
    """

    def __init__(self, computes: Computes, limits: Limits) -> None:
        self.computes = computes
        self.limits = limits
        self.requests = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request with photos within the block.

        Raises:
            Problem: There are too many already.
        """
        if self.requests >= self.limits.requests:
            raise busy(f"{self.requests} requests with photos are waiting, as many as this server takes")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    async def results(self, photos: Sequence[Photo], details: bool = False) -> AsyncIterator[Any]:
        """What is computed of photos, in order.

        Args:
            photos (sequence of Photo): The photos.
            details (bool): True for photos to teach.

        Raises:
            Problem: A photo waited too long.
        """
        ahead = self.limits.taught_ahead if details else self.limits.photos_ahead
        remaining, request = iter(photos), object()
        pending: deque[asyncio.Future[Any]] = deque()
        try:
            while True:
                while len(pending) < ahead and (photo := next(remaining, None)) is not None:
                    pending.append(asyncio.wrap_future(self.computes.submit(photo, details, request)))
                if not pending:
                    return
                try:
                    async with asyncio.timeout(self.limits.answer_seconds):
                        result = await pending[0]
                except TimeoutError:
                    raise busy(f"a photo waited {self.limits.answer_seconds:.0f} seconds for the network") from None
                pending.popleft()
                yield result
        finally:
            for future in pending:
                future.cancel()
