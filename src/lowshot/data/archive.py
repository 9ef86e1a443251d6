"""Read images inside a zip in place, from any number of processes."""

from __future__ import annotations

import io
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from lowshot.contents import content_mark
from lowshot.data.formats import SIGNATURE_BYTES
from lowshot.data.listing import Listing, hidden_part, kind_of_content, kind_of_name
from lowshot.errors import InputError
from lowshot.files import exists, is_file, resolved

MOST_ENTRIES = 1_500_000
"""The largest number of entries of a zip: more than ImageNet has, and a GB of memory while they are listed."""

_MOST_DIRECTORY_BYTES = 2**28
_ENTRY_SIGNATURE = b"PK\x01\x02"
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_HEADER_ROOM = 512  # more than most names and extra fields need, so that one read is enough
_ONE_READ = 2**20
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_FAR = 2**62  # beyond the end of any file


def open_zip(path: str | Path) -> tuple[Listing, ZipReader]:
    """List the pictures of a zip and make a reader for them.

    Args:
        path (str or Path): The zip.

    Returns:
        The listing, and a reader whose member ``i`` is file ``i`` of the listing.

    Raises:
        InputError: The file is missing, not a complete zip or has more than ``MOST_ENTRIES`` entries, or a picture in
            it is encrypted or packed by a method other than deflate.
    """
    path = Path(path)
    if not is_file(path):
        raise InputError(f"zip {path} {'is not a file' if exists(path) else 'does not exist'}")
    pictures: dict[str, zipfile.ZipInfo] = {}
    unknown: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    hidden: set[str] = set()
    for info in _entries(path):
        name = info.filename.replace("\\", "/").strip("/")
        if (inside := hidden_part(name)) is not None:
            hidden.add(inside)
            continue
        folders.add(name if info.is_dir() else name.rpartition("/")[0])
        if not info.is_dir():
            (pictures if kind_of_name(name) is None else unknown)[name] = info
    others: list[tuple[str, str]] = []
    for (name, info), kind in zip(unknown.items(), _kinds(path, list(unknown.values()))):
        if kind is None:
            pictures[name] = info
        else:
            others.append((name, kind))
    for info in pictures.values():
        _require_readable(path, info)
    folders.update([str(parent) for folder in folders for parent in PurePosixPath(folder).parents])
    marks = [content_mark(info.file_size, info.CRC) for info in pictures.values()]
    listing = Listing(str(path), list(pictures), marks, folders - {"", "."}, others, len(hidden))
    return listing, ZipReader(path, list(pictures.values()))


class ZipReader:
    """Reads the members of a zip by number.

    The reader holds a few numbers per member instead of the directory that :mod:`zipfile` read, so that a worker
    process neither parses the directory again nor holds an object per member. Members are read at explicit offsets, so
    that threads and forked processes can share one descriptor. A pickled copy opens the file again on first use.

    Args:
        path (Path): The zip.
        members (list of M ZipInfo): The entries of the zip's directory to read.

    Attributes:
        sizes (int64, (M,)): The number of bytes of each unpacked member, as the directory declares it.
    """

    def __init__(self, path: Path, members: list[zipfile.ZipInfo]) -> None:
        self.path = resolved(path)
        self.sizes = _integers([info.file_size for info in members])
        self._packed = _integers([info.compress_size for info in members])
        self._offset = _integers([info.header_offset for info in members])
        self._crc = np.array([info.CRC for info in members], dtype=np.int64)
        self._deflated = np.array([info.compress_type == zipfile.ZIP_DEFLATED for info in members], dtype=bool)
        self._descriptor: int | None = None

    def read(self, member: int, most: int) -> bytes:
        """Read and unpack a member.

        Args:
            member (int): The number of the member.
            most (int): The largest number of bytes, packed or unpacked, that is accepted. Neither the directory nor the
                packed bytes can make this method take more memory than twice that.

        Raises:
            OSError: The bytes cannot be read, are more than ``most``, or differ from the size or checksum in the
                directory.
        """
        size, packed = int(self.sizes[member]), int(self._packed[member])
        if max(size, packed) > most:
            raise OSError(f"the zip declares {size} bytes for it, {packed} when packed, and {most} are allowed")
        data = self._packed_bytes(member, packed)
        if len(data) < packed:
            raise OSError("the zip ends before it does")
        if self._deflated[member]:
            data = _inflate(data, size + 1)  # one more shows that it declares too few
        if len(data) > size:
            raise OSError(f"it unpacks to more than the {size} bytes that the zip declares")
        if len(data) < size or zlib.crc32(data) != self._crc[member]:
            raise OSError("its bytes differ from the zip's checksum")
        return data

    def head(self, member: int, size: int) -> bytes:
        """Read the first ``size`` bytes of a member, or fewer if it is shorter; its checksum is not looked at.

        Raises:
            OSError: The bytes cannot be read.
        """
        data = self._packed_bytes(member, min(int(self._packed[member]), _HEADER_ROOM + size))
        return _inflate(data, size) if self._deflated[member] else data[:size]

    def _packed_bytes(self, member: int, wanted: int) -> bytes:
        """The first ``wanted`` bytes of a member as they are packed; fewer where the zip ends."""
        offset = int(self._offset[member])
        room = _LOCAL_HEADER.size + _HEADER_ROOM
        head = self._read_at(offset, room + wanted if wanted <= _ONE_READ else room)
        if len(head) < _LOCAL_HEADER.size:
            raise OSError("the zip ends before it")
        signature, name_length, extra_length = _LOCAL_HEADER.unpack_from(head)
        if signature != b"PK\x03\x04":
            raise OSError("the zip is damaged at its place")
        start = _LOCAL_HEADER.size + name_length + extra_length
        if start + wanted <= len(head):
            return head[start : start + wanted]
        return self._read_at(offset + start, wanted)

    def _read_at(self, offset: int, length: int) -> bytes:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)
        return os.pread(self._descriptor, length, offset)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None}


class _BoundedFile(io.FileIO):
    """A file of which :mod:`zipfile` reads no more than memory can hold, whatever its directory declares."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MOST_DIRECTORY_BYTES:
            raise InputError(f"its directory has {size} bytes, and {_MOST_DIRECTORY_BYTES} are allowed")
        data = super().read(-1 if size is None else size)
        if len(data) > _ONE_READ and (count := data.count(_ENTRY_SIGNATURE)) > MOST_ENTRIES:
            raise InputError(f"it has {count} entries, and {MOST_ENTRIES} are allowed")
        return data


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    """The entries of a zip's directory."""
    try:
        with _BoundedFile(path) as file, zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except InputError as error:
        raise InputError(f"zip {path} is too large to be read in place: {error}. Unpack it") from None
    except Exception as error:  # on damaged bytes zipfile raises errors of many kinds
        raise InputError(f"{path} is not a zip, or its end is missing ({error}): fetch it again") from None


def _kinds(path: Path, unknown: Sequence[zipfile.ZipInfo]) -> Iterator[str | None]:
    """The word for each of some members whose names are no picture's; None for a picture."""
    reader = ZipReader(path, list(unknown))
    for member, info in enumerate(unknown):
        if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
            yield kind_of_name(info.filename)
            continue
        try:
            yield kind_of_content(info.filename, reader.head(member, SIGNATURE_BYTES))
        except OSError:
            yield "unreadable"


def _integers(numbers: list[int]) -> np.ndarray:
    try:
        return np.array(numbers, dtype=np.int64)
    except OverflowError:  # a damaged directory may state any 64 bits
        return np.array([min(number, _FAR) for number in numbers], dtype=np.int64)


def _inflate(data: bytes, most: int) -> bytes:
    """Unpack deflated bytes up to a size above 0."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, most)
    except zlib.error as error:
        raise OSError(f"the zip is damaged at its place: {error}") from None


def _require_readable(path: Path, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise InputError(f"{info.filename} in {path} is encrypted: pack the images without a password")
    if info.compress_type not in _METHODS:
        raise InputError(f"{info.filename} in {path} is packed by method {info.compress_type}: use deflate or store")
