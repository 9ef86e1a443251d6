"""The rows of one process of an extraction, in a hidden file that survives if the process is killed."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lowshot.errors import InputError, LowshotError
from lowshot.files import locked, read_json, write_json
from lowshot.progress import say

SYNC_SECONDS = 2.0  # at most this much work is lost if the process is killed
BLOCK_ROWS = 8192


@dataclass
class Shard:
    """The rows ``start`` to ``stop`` of a features file that is being extracted.

    Next to the target are ``.NAME.START-STOP.rows``, which holds the rows done so far one after the other, and the same
    with ``.json``, which holds the number of those that are safely on disk and their fingerprint.

    Attributes:
        target (Path): The features file.
        start (int): The first row.
        stop (int): The row after the last one.
        dim (int): The dimension D of the features.
        dtype (str): The dtype of the stored rows.
        fingerprint (str): The digest of all that the rows depend on; rows of another fingerprint are discarded.
    """

    target: Path
    start: int
    stop: int
    dim: int
    dtype: str
    fingerprint: str

    def done(self) -> int:
        """Return the number of rows that are safely on disk."""
        try:
            state = read_json(self._state)
            fits = state["fingerprint"] == self.fingerprint and self._rows.stat().st_size >= state["done"] * self._width
            return int(state["done"]) if fits else 0
        except (InputError, OSError, KeyError, TypeError):
            return 0  # no state file, or a damaged one: there is nothing to continue

    @contextlib.contextmanager
    def writing(self) -> Iterator[ShardWriter]:
        """Open the shard to add rows after those that are done. Rows are safe even if the block ends with an error."""

        def on_wait() -> None:
            say(f"{self._rows}: another process is extracting these rows; waiting for it to end")

        with locked(self._rows, on_wait) as file:
            done = self.done()
            file.truncate(done * self._width)
            writer = ShardWriter(self, file, done)
            try:
                yield writer
            finally:
                writer.sync()

    def record(self, done: int) -> None:
        """Record that ``done`` rows are on disk."""
        write_json(self._state, {"fingerprint": self.fingerprint, "done": done})

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Read the finished rows in order.

        Yields:
            The first row of a block in the features file, and the block (n, D).

        Raises:
            LowshotError: The shard is not finished.
        """
        total = self.stop - self.start
        if self.done() != total:
            raise LowshotError(
                f"{self.target}: rows {self.start} to {self.stop} are not all extracted, a process ended before its "
                "rows were done: run it again to continue"
            )
        with open(self._rows, "rb") as file:
            for first in range(0, total, BLOCK_ROWS):
                n = min(BLOCK_ROWS, total - first)
                yield self.start + first, np.fromfile(file, self.dtype, n * self.dim).reshape(n, self.dim)

    def discard(self) -> None:
        """Delete the files of the shard."""
        for path in (self._state, self._rows):
            path.unlink(missing_ok=True)

    @staticmethod
    def discard_all(target: Path) -> None:
        """Delete every shard of a features file, including those of earlier calls with other ranges."""
        name = glob.escape(target.name)
        unfinished = f"..{name}.*-*.json.*.part"  # of a process that was killed while it wrote a state
        for pattern in (f".{name}.*-*.rows", f".{name}.*-*.json", unfinished):
            for path in target.parent.glob(pattern):
                path.unlink(missing_ok=True)

    @property
    def _rows(self) -> Path:
        return self.target.with_name(f".{self.target.name}.{self.start}-{self.stop}.rows")

    @property
    def _state(self) -> Path:
        return self._rows.with_suffix(".json")

    @property
    def _width(self) -> int:
        return self.dim * np.dtype(self.dtype).itemsize


class ShardWriter:
    """Appends rows to a shard.

    Attributes:
        done (int): The number of rows written, of which those before the last :meth:`sync` are safe.
    """

    def __init__(self, shard: Shard, file: BinaryIO, done: int) -> None:
        self.done = done
        self._shard = shard
        self._file = file
        self._synced = time.monotonic()

    def append(self, features: np.ndarray) -> None:
        """Add (n, D) rows."""
        self._file.write(np.ascontiguousarray(features, self._shard.dtype).data)
        self.done += len(features)
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Make all rows so far safe on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._shard.record(self.done)
        self._synced = time.monotonic()


def shard_ranges(n_rows: int, batch_size: int, n_shards: int) -> list[tuple[int, int]]:
    """Divide rows into at most ``n_shards`` contiguous ranges of about equal size, which end at the end of a batch.

    A row is thus in the same batch for any number of shards. The last bits of its features depend on the batch.
    """
    batches = -(-n_rows // batch_size)
    n_shards = min(n_shards, batches)
    ends = [min(n_rows, batches * shard // n_shards * batch_size) for shard in range(n_shards + 1)]
    return list(pairwise(ends))
