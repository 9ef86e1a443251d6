"""Batches of images for an extraction, loaded while the network computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar, cast

import numpy as np
import torch
from joblib import cpu_count

from lowshot.checks import check_count
from lowshot.data.base import ImageDataset
from lowshot.data.loading import auto_workers, make_loader
from lowshot.data.transforms import ImageTransform

T = TypeVar("T")
Batch = tuple[torch.Tensor, np.ndarray]
"""Pixels (B, …) uint8 and rows (B,) int64."""

_CHUNK = 16  # images that a thread loads at a time
_SMALL_IMAGE = 96 * 96  # pixels; threads would wait for each other's Python code


def load_batches(
    dataset: ImageDataset, transform: ImageTransform, batch_size: int, workers: int | Literal["auto"] = "auto"
) -> Generator[Batch, None, None]:
    """Load all images in row order.

    Args:
        dataset (ImageDataset): The images.
        transform (callable): The deterministic transform of an image.
        batch_size (int): The number B of images per batch.
        workers (int or "auto"): The number of processes that load; 0 loads in threads, as many as there are cores:
            decoding and resizing release the interpreter's lock. ``"auto"`` takes 0 on one or two cores.

    Yields:
        The pixels of a batch and its rows.

    Raises:
        InputError: A number is out of range, or an image cannot be read.
    """
    count = auto_workers(dataset) if workers == "auto" else check_count("workers", workers, least=0)
    if count:
        loader = make_loader(dataset, transform, batch_size, workers=count)
        for images, _, rows in ahead(loader):
            yield images, rows.numpy()
        return
    check_count("batch_size", batch_size)
    width, height = dataset.load(0).size
    threads = 1 if width * height <= _SMALL_IMAGE else cpu_count()
    batches = [range(start, min(start + batch_size, len(dataset))) for start in range(0, len(dataset), batch_size)]
    yield from _in_threads(dataset, transform, batches, threads)


def _in_threads(
    dataset: ImageDataset, transform: ImageTransform, batches: Sequence[range], threads: int
) -> Iterator[Batch]:
    def load(rows: range) -> torch.Tensor:
        return torch.stack([transform(dataset.load(row)) for row in rows])

    with ThreadPoolExecutor(threads) as pool:

        def submit(rows: range) -> list[Future[torch.Tensor]]:
            return [pool.submit(load, rows[at : at + _CHUNK]) for at in range(0, len(rows), _CHUNK)]

        pending: deque[list[Future[torch.Tensor]]] = deque()
        try:
            for number, rows in enumerate(batches):
                while len(pending) < 2 and number + len(pending) < len(batches):
                    pending.append(submit(batches[number + len(pending)]))
                parts = [part.result() for part in pending.popleft()]
                if number + len(pending) + 1 < len(batches):
                    pending.append(submit(batches[number + len(pending) + 1]))
                yield torch.cat(parts), np.arange(rows.start, rows.stop)
        finally:
            pool.shutdown(cancel_futures=True)


def ahead(items: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """Yield the same items, each made up to ``depth`` ahead in a thread."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := pending.popleft().result()) is not end:
            pending.append(pool.submit(next, iterator, end))
            yield cast(T, item)
