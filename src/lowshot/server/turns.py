"""What waits, taken in turns: one of each request, so that a large request holds no small one up."""

from __future__ import annotations

import io
from collections import deque
from typing import Generic, TypeVar

from lowshot.data.decode import BadImageError, is_large
from lowshot.recogniser.photos import Photo

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """A queue that takes from each owner in turn; the caller locks it."""

    def __init__(self) -> None:
        self._queues: dict[object, deque[Item]] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, item: Item, owner: object) -> None:
        """Add an item after the others of its owner."""
        self._queues.setdefault(owner, deque()).append(item)
        self._n += 1

    def put_back(self, item: Item, owner: object) -> None:
        """Add an item before the others of its owner."""
        self._queues.setdefault(owner, deque()).appendleft(item)
        self._n += 1

    def pop(self) -> Item:
        """Take the first item of the owner who has waited for longest."""
        owner, queue = next(iter(self._queues.items()))
        del self._queues[owner]
        item = queue.popleft()
        if queue:
            self._queues[owner] = queue
        self._n -= 1
        return item

    def clear(self) -> list[Item]:
        """Take all items."""
        found = [item for queue in self._queues.values() for item in queue]
        self._queues.clear()
        self._n = 0
        return found


def takes_long(photo: Photo) -> bool:
    """True for a photo with so many pixels that decoding takes about a second, as its header says."""
    content = photo.source() if callable(photo.source) else photo.source
    if not isinstance(content, bytes):
        return False
    try:
        return is_large(io.BytesIO(content), photo.name)
    except BadImageError:
        return False
