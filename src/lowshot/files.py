"""Atomic writes, locks, fingerprints, and reads whose errors name the file."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from lowshot.errors import InputError
from lowshot.trees import decode, parse_json

Pathlike = str | os.PathLike[str]

_LONGEST_START = 200
# What the system answers about a name that no file has, or that none can have: too long, or a loop of links.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP, errno.ENAMETOOLONG)


def is_file(path: Pathlike) -> bool:
    """True if there is a regular file, or a link to one; False for names that no file can have.

    Raises:
        OSError: The system does not tell, such as for a folder that may not be read.
    """
    return stat.S_ISREG(_mode(path))


def is_folder(path: Pathlike) -> bool:
    """True if there is a folder, or a link to one; errors as in :func:`is_file`."""
    return stat.S_ISDIR(_mode(path))


def exists(path: Pathlike) -> bool:
    """True if there is a file, a folder or anything else; errors as in :func:`is_file`."""
    return _mode(path) != 0


def resolved(path: Pathlike) -> Path:
    """The absolute path without links; a loop of links is left in it.

    Raises:
        InputError: No file can have this name.
    """
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        raise _impossible("path", path) from None


def _impossible(what: str, path: Pathlike) -> InputError:
    return InputError(f"{what} {os.fspath(path)!a} is not a name that a file can have")


def _mode(path: Pathlike) -> int:
    """The mode that the system has for a path; 0 if there is nothing."""
    try:
        return os.stat(path).st_mode
    except OSError as error:
        if error.errno in _ABSENT:
            return 0
        raise
    except ValueError:  # a NUL or half of a surrogate pair
        return 0


@contextmanager
def atomic_path(path: Pathlike) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on a clean exit it is synced and renamed to ``path``.

    The folder is created if missing. When the block raises, the temporary file is removed and ``path`` is left as it
    was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The system's limit of 255 bytes counts what is added to the name as well.
    start = os.fsencode(target.name)[:_LONGEST_START].decode(errors="ignore")
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{start}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        commit(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def commit(temporary: Pathlike, target: Pathlike) -> None:
    """Make a finished file durable and give it its final name in one step, on the same file system."""
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
def locked(path: Pathlike, on_wait: Callable[[], None]) -> Iterator[BinaryIO]:
    """Open a file for appending and hold its lock, which ends with the block or with the process.

    Args:
        path (str or path): The file. It is created if missing, and left in place.
        on_wait (callable): The function that is called before waiting for another process.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(path, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
            # The lock of a file that its last holder deleted would exclude nobody.
            if exists(path) and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield file
                return


def require_writable(path: Pathlike, what: str, folder: bool = False) -> None:
    """Check that a file or folder can be written, before the work whose result goes there. Nothing is left behind.

    Args:
        path (str or path): The file to write, or with ``folder`` the folder to write files in. Missing folders on the
            way to it are fine.
        what (str): The noun for it in error messages, such as the name of a flag.
        folder (bool): True for a folder, False for a file.

    Raises:
        InputError: A file is where a folder must be, or the other way round, or the system refuses a new file there.
    """
    target = Path(path)
    try:
        if exists(target):
            if is_folder(target) != folder:
                kinds = ("a file", "a folder")
                raise InputError(f"{what} {path} is {kinds[not folder]}: expected {kinds[folder]} to write")
        else:
            with suppress(FileNotFoundError):
                os.lstat(target)  # raises where no file can have this name, such as for one that is too long
        existing = target if folder else target.parent
        while not exists(existing):
            existing = existing.parent
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InputError(f"{what} {path} cannot be written: {error.strerror or error}") from None


def write_bytes(path: Pathlike, data: bytes) -> None:
    """Write bytes to a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Pathlike, text: str) -> None:
    """Write text to a file atomically, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def update_text(path: Pathlike, text: str) -> None:
    """Write a whole UTF-8 text file atomically, unless it holds just this text."""
    if not is_file(path) or read_bytes(path) != text.encode("utf-8"):
        write_text(path, text)


def write_json(path: Pathlike, value: Any, indent: int | None = 1) -> None:
    """Write a value as JSON atomically; NumPy scalars and arrays are accepted, NaN is not."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=_to_json)
    write_text(path, text + "\n")


def open_regular(path: Pathlike) -> io.BufferedReader:
    """Open a file for reading, buffered, without ever waiting for it.

    Raises:
        OSError: It is missing or cannot be read, or it is a pipe, a device or a socket, which might never end.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(code, "Is a directory" if code == errno.EISDIR else "Not a regular file", str(path))
    # Without O_NONBLOCK, a pipe that has taken the file's place in the meantime would be waited for.
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def read_bytes(path: Pathlike, what: str = "file") -> bytes:
    """Read a file.

    Args:
        path (str or path): The file.
        what (str): The noun for the file in error messages.

    Raises:
        InputError: There is no regular file of that name, or it cannot be read.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # a device never ends, and a pipe may never begin
            raise InputError(f"{what} {path} is {'a folder' if stat.S_ISDIR(mode) else 'a device'}, not a file")
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{what} {path} does not exist") from None
    except InputError:
        raise
    except ValueError:
        raise _impossible(what, path) from None
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {error.strerror or error}") from error


def read_text(path: Pathlike, what: str = "file") -> str:
    """Read a UTF-8 text file; parameters and errors as in :func:`read_bytes`."""
    return decode(read_bytes(path, what), f"{what} {path}")


def read_json(path: Pathlike, what: str = "file") -> Any:
    """Read a JSON file; parameters as in :func:`read_bytes`, errors also as in :func:`~lowshot.trees.parse_json`."""
    return parse_json(read_bytes(path, what), f"{what} {path}")


def fingerprint(*values: Any) -> str:
    """Compute a digest that is the same on any machine.

    Args:
        values (objects): The JSON-like values, NumPy arrays, bytes and paths (taken as text) that the digest covers.

    Returns:
        16 hexadecimal digits of SHA-256.
    """
    import numpy as np  # programs that only read and write text start several times faster without it

    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, bytes):
            digest.update(value)
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(json.dumps(value, sort_keys=True, ensure_ascii=False, default=_to_json).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def file_fingerprint(path: Pathlike) -> str:
    """Compute 16 hexadecimal digits of the SHA-256 of a file's content."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _to_json(value: Any) -> Any:
    import numpy as np

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
