"""One process's share of an extraction: raw rows in a hidden file that outlives a kill."""

from __future__ import annotations

import contextlib
import fcntl
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
from lowshot.files import read_json, write_json
from lowshot.progress import say

# At most this many seconds of work are lost to a kill.
SYNC_SECONDS = 2.0
BLOCK_ROWS = 8192


@dataclass
class Shard:
    """Rows ``start`` to ``stop`` of a features file to be.

    Beside the target lie ``.NAME.START-STOP.rows``, the rows done so far one after the other, and the same with
    ``.json``, which says how many of them are safely on disk and what they are made from.

    Attributes:
        target: the features file.
        start, stop: the range of rows.
        dim: D.
        dtype: of the stored rows.
        fingerprint: of all that the rows depend on; rows of another fingerprint are thrown away.
    """

    target: Path
    start: int
    stop: int
    dim: int
    dtype: str
    fingerprint: str

    def done(self) -> int:
        """How many rows are safely on disk."""
        try:
            state = read_json(self._state)
            fits = state["fingerprint"] == self.fingerprint and self._rows.stat().st_size >= state["done"] * self._width
            return int(state["done"]) if fits else 0
        except (InputError, OSError, KeyError, TypeError):
            return 0  # no state, or not one of ours: there is nothing to go on from

    @contextlib.contextmanager
    def writing(self) -> Iterator[ShardWriter]:
        """Add rows behind those that are done. What was added is kept when the block ends early, too."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        with _open_alone(self._rows) as file:
            done = self.done()
            file.truncate(done * self._width)
            writer = ShardWriter(self, file, done)
            try:
                yield writer
            finally:
                writer.sync()

    def record(self, done: int) -> None:
        """Say that ``done`` rows are on disk."""
        write_json(self._state, {"fingerprint": self.fingerprint, "done": done})

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The finished rows in order: (row in the features file, (n, D) block).

        Raises:
            LowshotError: the shard is not finished.
        """
        total = self.stop - self.start
        if self.done() != total:
            raise LowshotError(
                f"{self.target}: rows {self.start} to {self.stop} are not all extracted, a process ended before its "
                "share was done: run it again to go on"
            )
        with open(self._rows, "rb") as file:
            for first in range(0, total, BLOCK_ROWS):
                n = min(BLOCK_ROWS, total - first)
                yield self.start + first, np.fromfile(file, self.dtype, n * self.dim).reshape(n, self.dim)

    def discard(self) -> None:
        """Delete what was written."""
        for path in (self._state, self._rows):
            path.unlink(missing_ok=True)

    @staticmethod
    def discard_all(target: Path) -> None:
        """Delete every shard of a features file, those of earlier calls with other ranges included."""
        for kind in ("rows", "json"):
            for path in target.parent.glob(f".{glob.escape(target.name)}.*-*.{kind}"):
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
    """Appends to a shard; :attr:`done` rows are written, of which those of the last :meth:`sync` are safe."""

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
        """Make all rows so far safe."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._shard.record(self.done)
        self._synced = time.monotonic()


def _open_alone(path: Path) -> BinaryIO:
    """The file, open to append and locked until it is closed or this process ends, however it ends."""
    while True:
        file = open(path, "ab")  # noqa: SIM115  # the caller closes it
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{path}: another process is extracting these rows; waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        # The other may have finished and deleted the file that was waited for.
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()


def cut(n_rows: int, batch_size: int, parts: int) -> list[tuple[int, int]]:
    """Contiguous ranges of about equal size that end on whole batches, at most ``parts`` of them.

    Whole batches, because a model's last bits depend on the batch: however many processes share the rows, each row
    sits in the same batch.
    """
    batches = -(-n_rows // batch_size)
    parts = min(parts, batches)
    ends = [min(n_rows, batches * part // parts * batch_size) for part in range(parts + 1)]
    return list(pairwise(ends))
