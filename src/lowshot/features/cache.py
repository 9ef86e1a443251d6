"""Features that were computed before, by the content of the image and all that its features depend on.

They are kept in one SQLite file in the cache folder, which processes may use at the same time. The file has a bounded
size. Damage costs a computation and nothing else: an entry carries a checksum, and a damaged file is started anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from lowshot.contents import cache_folder
from lowshot.data.base import ImageDataset
from lowshot.features.embedder import Embedder
from lowshot.files import fingerprint

MOST_IMAGES = 20_000
"""The largest data set whose features are cached: for larger ones the features file is what is kept."""

MOST_BYTES = 1 << 30
"""The size that the file is kept below, by forgetting the oldest quarter: 200 000 features of 1280 dimensions."""

_THREADS = 8
_QUESTIONS = 500  # keys of a query
_WAIT_SECONDS = 10.0
_CHECKSUM = 4  # bytes


@dataclass
class Cached:
    """The rows of a data set whose features are known.

    Attributes:
        digests (list of N bytes): The digest of each row's image.
        known (bool, (N,)): True where the feature is known.
        features (float32, (N, D)): The features of those rows.
        makers (set of (str, str)): The engines and precisions that they were computed with.
    """

    digests: list[bytes]
    known: np.ndarray
    features: np.ndarray
    makers: set[tuple[str, str]]

    def of_rows(self, start: int, stop: int) -> Cached:
        """Return the part of some rows."""
        rows = slice(start, stop)
        return Cached(self.digests[rows], self.known[rows], self.features[rows], self.makers)


def image_digests(dataset: ImageDataset) -> list[bytes]:
    """Compute the SHA-256 of the content of each image, with what decides how it is decoded."""
    decoding = fingerprint(dataset.options, dataset.decode_size).encode()

    def digest(row: int) -> bytes:
        source = dataset._opened(row)
        found = hashlib.sha256(decoding)
        if isinstance(source, Image.Image):
            found.update(f"{source.mode} {source.size}".encode() + source.tobytes())
        else:
            with source:
                found.update(PurePosixPath(dataset.paths[row]).suffix.lower().encode() + b"\0" + source.read())
        return found.digest()

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(digest, range(len(dataset))))


class FeatureCache:
    """The cached features of one embedder.

    Args:
        embedder (Embedder): The embedder, before its engine is chosen.
        path (Path or None): The file; None takes ``features.sqlite`` in the cache folder.
    """

    def __init__(self, embedder: Embedder, path: Path | None = None) -> None:
        self.dim = embedder.dim
        asked = embedder.precision
        self._features = fingerprint(
            embedder.trunk_fingerprint, embedder.transforms.preprocessing, embedder.described_views
        )
        self._precisions = ("32-true", "bf16-mixed") if asked == "auto" else (asked,)
        self._path: Path | None = None
        with contextlib.suppress(RuntimeError):  # the user has no home
            self._path = path or cache_folder() / "features.sqlite"

    def find(self, dataset: ImageDataset) -> Cached:
        """Find the rows of a data set whose features are known.

        Raises:
            BadImageError: An image cannot be read.
        """
        digests = image_digests(dataset)
        known = np.zeros(len(digests), bool)
        features = np.zeros((len(digests), self.dim), np.float32)
        makers: set[tuple[str, str]] = set()
        for precision in self._precisions:
            rows: dict[bytes, list[int]] = {}  # several for an image that is there more than once
            for row in np.flatnonzero(~known).tolist():
                rows.setdefault(self._key(digests[row], precision), []).append(row)
            for key, engine, blob in self._read(list(rows)):
                if (feature := self._feature(blob)) is not None:
                    features[rows[key]] = feature
                    known[rows[key]] = True
                    makers.add((engine, precision))
        return Cached(digests, known, features, makers)

    def add(self, digests: Sequence[bytes], features: np.ndarray, engine: str, precision: str) -> None:
        """Keep features (n, D) of images; nothing happens where the file cannot be written."""
        rows = [
            (self._key(digest, precision), engine, data + zlib.crc32(data).to_bytes(_CHECKSUM, "big"))
            for digest, data in zip(digests, (np.ascontiguousarray(one, np.float32).tobytes() for one in features))
        ]
        with self._open() as file:
            if file is not None:
                with file:
                    file.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows)
                    if _size(file) > MOST_BYTES:
                        file.execute(
                            "DELETE FROM features WHERE rowid IN (SELECT rowid FROM features ORDER BY rowid "
                            "LIMIT 1 + (SELECT count(*) FROM features) / 4)"
                        )

    def _key(self, digest: bytes, precision: str) -> bytes:
        return hashlib.sha256(f"{self._features} {precision} ".encode() + digest).digest()

    def _feature(self, blob: bytes) -> np.ndarray | None:
        data, checksum = blob[:-_CHECKSUM], blob[-_CHECKSUM:]
        sound = len(data) == 4 * self.dim and zlib.crc32(data).to_bytes(_CHECKSUM, "big") == checksum
        return np.frombuffer(data, np.float32) if sound else None

    def _read(self, keys: Sequence[bytes]) -> list[tuple[bytes, str, bytes]]:
        found: list[tuple[bytes, str, bytes]] = []
        with self._open() as file:
            if file is not None:
                for start in range(0, len(keys), _QUESTIONS):
                    some = keys[start : start + _QUESTIONS]
                    marks = ",".join("?" * len(some))
                    found += file.execute(f"SELECT key, engine, feature FROM features WHERE key IN ({marks})", some)
        return found

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        """The file, or None where there is none; errors of SQLite within the block end it silently."""
        if self._path is None:
            yield None
            return
        file: sqlite3.Connection | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
            file.execute("PRAGMA synchronous = OFF")  # a power failure costs entries, as any damage does
            file.execute(
                "CREATE TABLE IF NOT EXISTS features "
                "(key BLOB PRIMARY KEY, engine TEXT NOT NULL, feature BLOB NOT NULL)"
            )
        except sqlite3.DatabaseError as error:
            self._discard_if_damaged(error)
            file = None
        except OSError:
            file = None
        try:
            yield file
        except sqlite3.DatabaseError as error:
            self._discard_if_damaged(error)
        finally:
            if file is not None:
                file.close()

    def _discard_if_damaged(self, error: sqlite3.DatabaseError) -> None:
        """Delete a damaged file; one that is locked, full or read-only is left alone."""
        if isinstance(error, sqlite3.OperationalError) or self._path is None:
            return
        for path in (self._path, self._path.with_name(self._path.name + "-journal")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _size(file: sqlite3.Connection) -> int:
    (pages,), (free,), (size,) = (
        file.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
