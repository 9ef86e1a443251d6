"""Photos in batches that threads open ahead, while the network computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

BATCH = 32
"""The number of photos per forward pass."""

_AHEAD = 3  # the batch that is computed and two more

Item = TypeVar("Item")
Made = TypeVar("Made")


def opened_ahead(pool: ThreadPoolExecutor, items: Iterable[Item], work: Callable[[Item], Made]) -> Iterator[list[Made]]:
    """Batches of what a function makes of items, in order, of which the next two are being made meanwhile.

    Args:
        pool (ThreadPoolExecutor): The threads.
        items (iterable): The items.
        work (callable): The function.
    """
    remaining = iter(items)
    pending: deque[list[Future[Made]]] = deque()
    while True:
        while len(pending) < _AHEAD and (batch := [pool.submit(work, item) for item in islice(remaining, BATCH)]):
            pending.append(batch)
        if not pending:
            return
        yield [future.result() for future in pending.popleft()]
