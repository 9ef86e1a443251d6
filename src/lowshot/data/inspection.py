"""Look for images that cannot be read without decoding them all: every header, and a sample of the pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from joblib import Parallel, cpu_count, delayed

from lowshot.data.base import ImageDataset
from lowshot.data.decode import BadImageError
from lowshot.errors import InputError, counted
from lowshot.progress import progress

MOST_HEADERS = 100_000
"""The number of images of a part whose headers are read; of a larger part that many, evenly spaced."""

DECODED = 64
"""The number of images of a part that are decoded, evenly spaced."""

_CHUNK = 256  # images per call of a thread


def inspect_images(dataset: ImageDataset) -> None:
    """Read the headers of all images and decode a few of them.

    Args:
        dataset (ImageDataset): The images.

    Raises:
        InputError: Some cannot be read; the message counts them and gives the reason of the first.
    """
    decoded = set(_spaced(len(dataset), DECODED).tolist())
    rows = _spaced(len(dataset), MOST_HEADERS)
    chunks = [rows[start : start + _CHUNK].tolist() for start in range(0, len(rows), _CHUNK)]
    bad: list[str] = []
    pool = Parallel(cpu_count(), backend="threading", return_as="generator", pre_dispatch="2 * n_jobs")
    with progress("reading headers", len(rows)) as tick:
        for chunk, found in zip(chunks, pool(delayed(_bad)(dataset, chunk, decoded) for chunk in chunks)):
            bad += found
            tick(len(chunk))
    if bad:
        more = f" (and {counted(len(bad) - 1, 'more image')} cannot be read)" if len(bad) > 1 else ""
        raise InputError(f"{bad[0]}{more}; data.on_bad_image=skip leaves unreadable images out")


def _bad(dataset: ImageDataset, rows: list[int], decoded: set[int]) -> list[str]:
    return list(_reasons(dataset, rows, decoded))


def _reasons(dataset: ImageDataset, rows: list[int], decoded: set[int]) -> Iterator[str]:
    for row in rows:
        try:
            dataset.load(row) if row in decoded else dataset.read_header(row)
        except BadImageError as error:
            yield str(error)


def _spaced(count: int, most: int) -> np.ndarray:
    """Up to ``most`` of the numbers from 0 to ``count`` - 1, evenly spaced."""
    return np.arange(count) if count <= most else np.unique(np.linspace(0, count - 1, most).astype(np.int64))
