"""Digests of what files hold, remembered by what the file system says of them: a second look costs a stat a file.

A file counts as unchanged while device, number, size, modification time and status time of its inode are the same. The
last of these changes with every write, even where the modification time is put back. What was written in the last two
seconds is not remembered, since a further write could leave the same times.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.errors import InputError
from lowshot.files import Pathlike, exists, file_fingerprint, read_json, write_bytes, write_text
from lowshot.progress import progress

UNREADABLE = -1
"""The content mark of what is missing or no regular file."""

_SETTLED_NS = 2_000_000_000
_BLOCK = 1 << 20
_CHUNK = 256
_THREADS = 8
_REMEMBERED = 2000
_STATUS_FIELDS = 5
_memory: dict[str, str] = {}


def cache_folder() -> Path:
    """``$LOWSHOT_CACHE``, or else ``lowshot`` in the user's cache folder."""
    if own := os.environ.get("LOWSHOT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lowshot"


def content_mark(size: int, crc: int) -> int:
    """A file's size and CRC-32 in one number, the same for a file on disk and for one in a zip."""
    return (size & 0x7FFFFFFF) << 32 | crc


def content_marks(root: Path, paths: Sequence[str]) -> np.ndarray:
    """The content marks of files.

    Args:
        root (Path): The folder that the paths are relative to.
        paths (sequence of N str): The files.

    Returns:
        (int64, (N,)): Their :func:`content_mark`, or ``UNREADABLE``. They are the same wherever the root is.
    """
    statuses = np.array([_status(os.path.join(root, path)) for path in paths], np.int64).reshape(-1, _STATUS_FIELDS)
    file = _place(f"marks-{_name_of(root)}.npy")
    marks, known = _recall(statuses, _read_table(file))
    unknown = np.flatnonzero((marks == UNREADABLE) & (statuses[:, 0] >= 0))
    chunks = [unknown[start : start + _CHUNK] for start in range(0, len(unknown), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool, progress("reading files", len(unknown)) as tick:
        found = pool.map(lambda rows: [_mark(os.path.join(root, paths[row])) for row in rows], chunks)
        for rows, own in zip(chunks, found):
            marks[rows] = own
            tick(len(rows))
    fresh = unknown[(marks[unknown] != UNREADABLE) & _is_settled(statuses[unknown])]
    if len(fresh):
        _save_table(file, known, np.column_stack([statuses[fresh], marks[fresh]]))
    return marks


def content_fingerprint(path: Pathlike) -> str:
    """The :func:`~lowshot.files.file_fingerprint` of a file; a large one is read once as long as it does not change."""
    status = _status(path)
    if status[0] < 0 or status[2] < _BLOCK:
        return file_fingerprint(path)
    key = "-".join(f"{field:x}" for field in status)
    file = _place("digests.json")
    if key not in _memory:
        _memory.update(_read_digests(file))
    if key not in _memory:
        digest = file_fingerprint(path)
        if _status(path) != status or not _is_settled(np.array([status]))[0]:
            return digest
        _memory[key] = digest
        if file is not None:
            latest = list({**_read_digests(file), key: digest}.items())[-_REMEMBERED:]
            with contextlib.suppress(OSError):
                write_text(file, json.dumps(dict(latest)))
    return _memory[key]


def by_content(value: Any) -> Any:
    """JSON-like values with a digest in place of each path of a file, so that it does not matter where the file is.

    A path is a text with a dot or a slash in it under which there is a file; ``file:loss.py`` names one too.
    """
    if isinstance(value, Mapping):
        return {key: by_content(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [by_content(item) for item in value]
    if not isinstance(value, str | Path):
        return value
    text = os.fspath(value)
    prefix, colon, rest = text.partition(":")
    for before, path in (("", text), (f"{prefix}{colon}", rest)):
        if ("." in path or os.sep in path) and _status(path)[0] >= 0:
            return f"{before}file {content_fingerprint(path)}"
    return text


def _status(path: Pathlike) -> tuple[int, ...]:
    """Device, number, size and times of a regular file; -1 for anything else."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # a NUL in a name is a ValueError
        return (-1,) * _STATUS_FIELDS
    if not stat.S_ISREG(found.st_mode):
        return (-1,) * _STATUS_FIELDS
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_settled(statuses: np.ndarray) -> np.ndarray:
    settled: np.ndarray = statuses[:, 3:].max(axis=1, initial=0) < time.time_ns() - _SETTLED_NS
    return settled


def _mark(path: str) -> int:
    size = crc = 0
    try:
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                crc = zlib.crc32(block, crc)
                size += len(block)
    except OSError:
        return UNREADABLE
    return content_mark(size, crc)


def _place(name: str) -> Path | None:
    """A file in the cache folder; None where the user has none."""
    try:
        return cache_folder() / "contents" / name
    except RuntimeError:
        return None


def _name_of(root: Path) -> str:
    """A name that a folder keeps when it is renamed."""
    try:
        found = os.stat(root)
    except OSError:
        return "none"
    return f"{found.st_dev:x}-{found.st_ino:x}"


def _recall(statuses: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The marks of files whose status is in a table, and the table in the order of inode numbers."""
    marks = np.full(len(statuses), UNREADABLE, np.int64)
    known = known[np.argsort(known[:, 1], kind="stable")]
    if len(known):
        place = np.searchsorted(known[:, 1], statuses[:, 1], side="right") - 1
        same = (known[place, :_STATUS_FIELDS] == statuses).all(axis=1) & (statuses[:, 0] >= 0)
        marks[same] = known[place[same], _STATUS_FIELDS]
    return marks, known


def _read_table(file: Path | None) -> np.ndarray:
    """The (K, 6) table of statuses and marks; none where it cannot be read."""
    empty = np.empty((0, _STATUS_FIELDS + 1), np.int64)
    try:
        table = empty if file is None else np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return empty
    return table if table.dtype == np.int64 and table.shape[1:] == empty.shape[1:] else empty


def _save_table(file: Path | None, known: np.ndarray, fresh: np.ndarray) -> None:
    if file is None:
        return
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate([known[~np.isin(known[:, 1], fresh[:, 1])], fresh]))
    with contextlib.suppress(OSError):
        write_bytes(file, buffer.getvalue())


def _read_digests(file: Path | None) -> dict[str, str]:
    try:
        found = None if file is None or not exists(file) else read_json(file)
    except InputError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
