"""Read images inside a zip in place, from any number of processes."""

from __future__ import annotations

import os
import struct
import weakref
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from lowshot.data.listing import Listing, is_hidden, is_image
from lowshot.errors import InputError

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_HEADER_ROOM = 512  # more than most names and extra fields need, so that one read is enough
_ENCRYPTED = 0x1


def open_zip(path: str | Path) -> tuple[Listing, ZipReader]:
    """List the images of a zip and make a reader for them.

    Args:
        path (str or Path): The zip.

    Returns:
        The listing, and a reader whose member ``i`` is file ``i`` of the listing.

    Raises:
        InputError: The file is missing, not a complete zip, encrypted, or packed by a method other than deflate.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"zip {path} {'is not a file' if path.exists() else 'does not exist'}")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, struct.error) as error:
        raise InputError(f"{path} is not a zip, or its end is missing ({error}): fetch it again") from None
    members: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for info in entries:
        name = info.filename.replace("\\", "/").strip("/")
        if is_hidden(name):
            continue
        folders.add(name if info.is_dir() else name.rpartition("/")[0])
        if is_image(name) and not info.is_dir():
            _require_readable(path, info)
            members[name] = info
    folders.update([str(parent) for folder in folders for parent in PurePosixPath(folder).parents])
    crcs = [info.CRC for info in members.values()]
    return Listing(str(path), list(members), crcs, folders - {"", "."}), ZipReader(path, list(members.values()))


class ZipReader:
    """Reads the members of a zip by number.

    The reader holds a few numbers per member instead of the directory that :mod:`zipfile` read, so that a worker
    process neither parses the directory again nor holds an object per member. Members are read at explicit offsets, so
    that threads and forked processes can share one descriptor. A pickled copy opens the file again on first use.

    Args:
        path (Path): The zip.
        members (list of M ZipInfo): The entries of the zip's directory to read.

    Attributes:
        sizes (int64, (M,)): The number of bytes of each unpacked member.
    """

    def __init__(self, path: Path, members: list[zipfile.ZipInfo]) -> None:
        self.path = path.resolve()
        self.sizes = np.array([info.file_size for info in members], dtype=np.int64)
        self._packed = np.array([info.compress_size for info in members], dtype=np.int64)
        self._offset = np.array([info.header_offset for info in members], dtype=np.int64)
        self._crc = np.array([info.CRC for info in members], dtype=np.int64)
        self._deflated = np.array([info.compress_type == zipfile.ZIP_DEFLATED for info in members], dtype=bool)
        self._descriptor: int | None = None

    def read(self, member: int) -> bytes:
        """Read and unpack a member.

        Args:
            member (int): The number of the member.

        Raises:
            OSError: The bytes cannot be read, or differ from the checksum in the directory.
        """
        packed, offset = int(self._packed[member]), int(self._offset[member])
        head = self._read_at(offset, _LOCAL_HEADER.size + _HEADER_ROOM + packed)
        if len(head) < _LOCAL_HEADER.size:
            raise OSError("the zip ends before it")
        signature, name_length, extra_length = _LOCAL_HEADER.unpack_from(head)
        if signature != b"PK\x03\x04":
            raise OSError("the zip is damaged at its place")
        start = _LOCAL_HEADER.size + name_length + extra_length
        data = head[start : start + packed]
        if len(data) < packed:
            data = self._read_at(offset + start, packed)
        if self._deflated[member]:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, int(self.sizes[member]))
            except zlib.error as error:
                raise OSError(f"the zip is damaged at its place: {error}") from None
        if len(data) != self.sizes[member] or zlib.crc32(data) != self._crc[member]:
            raise OSError("its bytes differ from the zip's checksum")
        return data

    def _read_at(self, offset: int, length: int) -> bytes:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)
        return os.pread(self._descriptor, length, offset)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None}


def _require_readable(path: Path, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise InputError(f"{info.filename} in {path} is encrypted: pack the images without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{info.filename} in {path} is packed by method {info.compress_type}: use deflate or store")
