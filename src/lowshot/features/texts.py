"""Texts of any length in an HDF5 file, read from its bytes and not by HDF5's library.

The library trusts the heap that holds such texts: of a damaged one it takes gigabytes of memory, or never returns.
The format is that of the HDF5 File Format Specification (version 3.0). A text is stored as a reference: its length, the
address of a collection, and a number (section VIII.B). A collection is a list of numbered objects (section III.E). An
attribute is a message in the header of its object (section IV.A).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

_REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("number", "<u4")])
_HEADER = 16  # bytes, of a collection, of each of its objects, and of an object's header in its first version
_COLLECTION = b"GCOL\x01"
_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_MAX_BLOCKS = 1000  # of one header


def read_texts(file: h5py.File, path: Path, offset: int, count: int) -> list[str]:
    """Read the first texts of a contiguous data set.

    Args:
        file (File): The open file.
        path (Path): Its path.
        offset (int): The position of the data set in the file.
        count (int): The number of texts.

    Raises:
        ValueError: The file is damaged, has addresses of another size, or a text is not UTF-8.
    """
    with _content(file, path) as content:
        return _Heap(content, file.userblock_size).texts(offset, count)


def read_text_attributes(file: h5py.File, path: Path) -> dict[str, str]:
    """Read the attributes of the file that are texts of any length, as far as they are in its header.

    More than eight attributes may be stored elsewhere; these are left out.

    Raises:
        ValueError: The file is damaged, has addresses of another size, or a text is not UTF-8.
    """
    attributes = {name: file.attrs.get_id(name) for name in file.attrs}
    wanted = {name for name, one in attributes.items() if _is_text(one) and one.shape == ()}
    if not wanted:
        return {}
    base = file.userblock_size
    with _content(file, path) as content:
        heap, found = _Heap(content, base), {}
        for kind, message in _messages(content, base, h5py.h5o.get_info(file.id).addr):
            if kind == _ATTRIBUTE and (parsed := _attribute(content, message)) is not None and parsed[0] in wanted:
                found[parsed[0]] = heap.texts(parsed[1], 1)[0]
    return found


def _is_text(attribute: h5py.h5a.AttrID) -> bool:
    info = h5py.check_string_dtype(attribute.dtype)
    return info is not None and info.length is None


@contextmanager
def _content(file: h5py.File, path: Path) -> Iterator[mmap.mmap]:
    if file.id.get_create_plist().get_sizes() != (8, 8):
        raise ValueError("its addresses are not of 8 bytes")
    with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


class _Heap:
    """The texts behind references; ``base`` is what addresses are relative to."""

    def __init__(self, content: mmap.mmap, base: int) -> None:
        self.content = content
        self.base = base
        self.latest: tuple[int, dict[int, tuple[int, int]]] = (-1, {})  # texts follow each other in a collection

    def texts(self, offset: int, count: int) -> list[str]:
        references = np.frombuffer(self.content, _REFERENCE, count, offset).tolist()  # a copy: the file is closed soon
        return [self._text(*reference) for reference in references]

    def _text(self, length: int, address: int, number: int) -> str:
        if not length:
            return ""
        if address != self.latest[0]:
            self.latest = address, self._objects(self.base + address)
        start, size = self.latest[1].get(number, (0, 0))
        if length > size:
            raise ValueError("the heap of its texts is damaged")
        return self.content[start : start + length].decode("utf-8")

    def _objects(self, start: int) -> dict[int, tuple[int, int]]:
        """The position and size of each object of a collection, by number."""
        end = start + _number(self.content, start + 8, 8)
        if self.content[start : start + len(_COLLECTION)] != _COLLECTION or end > len(self.content):
            raise ValueError("the heap of its texts is damaged")
        found: dict[int, tuple[int, int]] = {}
        place = start + _HEADER
        while place + _HEADER <= end and (number := _number(self.content, place, 2)):  # number 0 is the free rest
            size = _number(self.content, place + 8, 8)
            place += _HEADER
            if place + size > end:
                raise ValueError("the heap of its texts is damaged")
            found[number] = (place, size)
            place += _padded(size)
        return found


def _messages(content: mmap.mmap, base: int, address: int) -> Iterator[tuple[int, range]]:
    """The kind and the place of each message of an object's header, in either version."""
    start = base + address
    second = content[start : start + 4] == b"OHDR"
    if second:
        flags = content[start + 5]
        width, start = 1 << (flags & 3), start + 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        blocks = [range(start + width, start + width + _number(content, start, width))]
        head = 6 if flags & 0x4 else 4
    else:
        blocks = [range(start + _HEADER, start + _HEADER + _number(content, start + 8, 4))]
        head = 8
    for block in blocks:  # grows in the loop
        place = block.start
        while place + head <= min(block.stop, len(content)):
            kind, size = (content[place], _number(content, place + 1 + (not second), 2))
            message = range(place + head, min(place + head + size, block.stop, len(content)))
            if kind == _CONTINUATION and len(message) >= 16 and len(blocks) < _MAX_BLOCKS:
                further, length = base + _number(content, message.start, 8), _number(content, message.start + 8, 8)
                # In the second version a signature and a checksum surround it.
                blocks.append(range(further + 4 * second, further + length - 4 * second))
            yield kind, message
            place = message.start + size


def _attribute(content: mmap.mmap, message: range) -> tuple[str, int] | None:
    """The name of an attribute and the place of its value, or None where the message is of an unknown version."""
    if len(message) < 9 or content[message.start] not in (1, 2, 3):
        return None
    version, start = content[message.start], message.start + 8 + (content[message.start] == 3)
    sizes = [_number(content, message.start + place, 2) for place in (2, 4, 6)]  # of the name, the type and the shape
    value = start + sum(_padded(size) if version == 1 else size for size in sizes)
    if value + _REFERENCE.itemsize > message.stop:
        return None
    return content[start : start + sizes[0]].rstrip(b"\0").decode("utf-8"), value


def _number(content: mmap.mmap, start: int, size: int) -> int:
    return int.from_bytes(content[start : start + size], "little")


def _padded(size: int) -> int:
    return -(-size // 8) * 8
