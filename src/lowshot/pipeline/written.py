"""Files as they were written: what is kept of a finished output, to see later whether it still is that.

A look costs a stat and a few blocks. The whole file is read where its time has changed, and for ``lowshot validate
--deep``: a change of a large file that keeps its size, its time and the sampled blocks is found there only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowshot.files import is_file

BLOCK = 4096
BLOCKS = 16
WHOLE = 1 << 20
"""Files up to this size are sampled whole."""

Record = dict[str, Any]


def record_of(path: Path, keep_text: bool = False) -> Record:
    """The JSON form of a file's size, time and digests.

    A ``.jsonl`` file is recorded with a digest of each line, since what is left of it may be told apart from damage.

    Args:
        path (Path): The file.
        keep_text (bool): Also keep the text itself, of a small file that could not be written again.
    """
    status = path.stat()
    record: Record = {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sample": _sample(path, status.st_size),
        "sha256": _sha256(path),
    }
    if path.suffix == ".jsonl":
        record["lines"] = [_short(line) for line in path.read_bytes().splitlines()]
    if keep_text:
        record["text"] = path.read_bytes().decode("utf-8", "replace")
    return record


def is_intact(path: Path, record: Mapping[str, Any], deep: bool = False) -> bool:
    """True where a file is the one that was recorded.

    Args:
        path (Path): The file.
        record (mapping): What :func:`record_of` gave for it.
        deep (bool): Read it whole, whatever its time.

    Raises:
        OSError: The file cannot be read.
    """
    status = path.stat()
    if status.st_size != record["size"] or _sample(path, status.st_size) != record["sample"]:
        return False
    if status.st_size <= WHOLE and not deep:  # the sample was all of it
        return True
    return (status.st_mtime_ns == record["mtime_ns"] and not deep) or _sha256(path) == record["sha256"]


def known_lines(path: Path, record: Mapping[str, Any]) -> bytes:
    """The lines of a ``.jsonl`` file that it was recorded with; the others are damaged."""
    known = set(record["lines"])
    lines = path.read_bytes().splitlines() if is_file(path) else []
    return b"".join(line + b"\n" for line in lines if _short(line) in known)


def _sample(path: Path, size: int) -> str:
    """A digest of a small file, or of blocks spread evenly over a large one, its ends included."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        if size <= WHOLE:
            digest.update(file.read(WHOLE + 1))
        else:
            for number in range(BLOCKS):
                digest.update(os.pread(file.fileno(), BLOCK, (size - BLOCK) * number // (BLOCKS - 1)))
    return digest.hexdigest()[:32]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _short(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]
