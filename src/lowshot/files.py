"""Atomic writes, locks, fingerprints, and reading with errors that name the file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lowshot.errors import InputError

Pathlike = str | os.PathLike[str]


@contextmanager
def atomic_path(path: Pathlike) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on a clean exit it is synced and renamed to ``path``.

    When the block raises, the temporary file is removed and ``path`` is left as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        commit(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def commit(temporary: Pathlike, target: Pathlike) -> None:
    """Make a finished file durable and give it its final name in one step."""
    target = Path(target)
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.chmod(temporary, 0o666 & ~_umask())
    os.replace(temporary, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def only_one(path: Pathlike, busy: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file ``path``: one process at a time, and none once its holder has ended, however it ended.

    Args:
        path: made if it is not there, and left there.
        busy: called once before waiting for another process.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def require_writable(path: Pathlike, what: str, folder: bool = False) -> None:
    """Refuse a place where nothing can be written, before the work that would end there. It leaves no trace.

    Args:
        path: a file to write, or with ``folder`` a folder to write files in; what is missing on the way will be made.
        what: what messages call it, such as the name of a flag.

    Raises:
        InputError: a file stands where a folder must, or the other way round, or the system refuses a new file there.
    """
    target = Path(path)
    try:
        if target.exists() and target.is_dir() != folder:
            kinds = ("a file", "a folder")
            raise InputError(f"{what} {path} is {kinds[not folder]}: expected {kinds[folder]} to write")
        there = target if folder else target.parent
        while not there.exists():
            there = there.parent
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{what} {path} cannot be written: {error.strerror or error}") from None


def write_bytes(path: Pathlike, data: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Pathlike, text: str) -> None:
    """Write a whole UTF-8 text file atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Pathlike, value: Any, indent: int | None = 1) -> None:
    """Write ``value`` as JSON atomically; numpy scalars and arrays are accepted, NaN is not."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=_plain)
    write_text(path, text + "\n")


def read_bytes(path: Pathlike, what: str = "file") -> bytes:
    """The bytes of a file; a missing or unreadable one is an :class:`InputError` that names it."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{what} {path} does not exist") from None
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {error.strerror or error}") from error


def read_text(path: Pathlike, what: str = "file") -> str:
    """The text of a UTF-8 file, with the errors of :func:`read_bytes`."""
    try:
        return read_bytes(path, what).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} {path} is not UTF-8 text: {error}") from None


def read_json(path: Pathlike, what: str = "file") -> Any:
    """The value in a JSON file; anything but JSON is an :class:`InputError` with line and column."""
    try:
        return json.loads(read_text(path, what))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{what} {path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None


def fingerprint(*values: Any) -> str:
    """A short stable digest of JSON-like values, arrays, paths (as text) and bytes; the same on any machine."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, bytes):
            digest.update(value)
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def file_fingerprint(path: Pathlike) -> str:
    """A short digest of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
