"""Write torch files in the formats of old versions, with torch itself and never with the code under test."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

CONTAINERS = ("zip", "legacy", "python 2")
# How a pickle spells the place a storage was saved from, in Python 3 and 2.
_PLACES = {
    b"X\x03\x00\x00\x00cpu": b"X\x06\x00\x00\x00cuda:0",
    b"U\x03cpu": b"U\x06cuda:0",
}


class _Python2(pickle._Pickler):
    """Pickles as Python 2 did, where text and bytes were one type."""

    dispatch = dict(pickle._Pickler.dispatch)

    def _save(self, value: str | bytes) -> None:
        content = value.encode("ascii") if isinstance(value, str) else value
        short = len(content) < 256
        self.write(b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content)))
        self.write(content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save


def _dump(value: Any, file: Any, protocol: int) -> None:
    _Python2(file, protocol).dump(value)


def save(path: Path, value: Any, container: str = "legacy", device: str = "cpu") -> Path:
    """Save ``value``; ``device="cuda"`` makes the file say that its tensors were on a GPU."""
    writer = SimpleNamespace(Pickler=_Python2, dump=_dump, __name__="python2") if container == "python 2" else pickle
    torch.save(value, path, pickle_module=writer, _use_new_zipfile_serialization=container == "zip")
    if device == "cuda" and container != "zip":
        path.write_bytes(_moved(path.read_bytes()))
    elif device == "cuda":
        with zipfile.ZipFile(path) as file:
            parts = [(entry.filename, file.read(entry)) for entry in file.infolist()]
        with zipfile.ZipFile(path, "w") as file:
            for name, content in parts:
                file.writestr(name, _moved(content) if name.endswith("data.pkl") else content)
    return path


def _moved(pickled: bytes) -> bytes:
    places = [place for place in _PLACES if place in pickled]
    assert places
    for place in places:
        pickled = pickled.replace(place, _PLACES[place])
    return pickled
