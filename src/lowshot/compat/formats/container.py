"""The container of torch before 1.6, in the few words that every torch since 0.1 understands.

Five pickles (a magic number, the protocol, the machine, the value, the names of the storages) and then each storage's
length and bytes. ``torch.save`` can still write it, but rebuilds tensors by a function that torch had only from 0.4 on,
which the original program need not have, and names storages by their place in memory, so that equal values would not
give equal files.
"""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from lowshot.files import Pathlike, atomic_path

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MACHINE = {"protocol_version": _PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class _Storage:
    """The numbers of one tensor, which come after the pickles."""

    def __init__(self, tensor: torch.Tensor, key: str) -> None:
        self.numbers = tensor.detach().cpu().float().contiguous().flatten().numpy().astype("<f4", copy=False)
        self.key = key


class _Pickler(pickle.Pickler):
    """Writes each tensor as float32, which is what the original computes in, with a storage of its own."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=2)
        self.storages: list[_Storage] = []

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return NotImplemented
        storage = _Storage(value, f"{len(self.storages):06d}")
        self.storages.append(storage)
        size = tuple(value.shape)
        strides = torch.empty(size, device="meta").stride()
        return torch._utils._rebuild_tensor, (storage, 0, size, strides)

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, _Storage):
            return None
        return "storage", torch.FloatStorage, value.key, "cpu", len(value.numbers), None


def save_legacy(path: Pathlike, value: Any, program: str | None = None) -> None:
    """Write tensors and plain containers so that the original program can read them; the file appears whole.

    :func:`lowshot.torch_files.load_torch` reads it as well. Equal values give equal bytes.

    Args:
        path (str or path): The file to write.
        value (object): The tensors, numbers, text and plain containers.
        program (str or None): The program that writes it, for :func:`is_written_by`. It is written into the
            description of the machine, which no version of torch looks at.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(_head(program))
        pickler = _Pickler(file)
        pickler.dump(value)
        pickle.dump([storage.key for storage in pickler.storages], file, protocol=2)
        for storage in pickler.storages:
            file.write(struct.pack("<q", len(storage.numbers)))
            file.write(storage.numbers.tobytes())


def is_written_by(path: Pathlike, program: str) -> bool:
    """Return True if :func:`save_legacy` wrote the file for ``program``. Nothing in it is unpickled."""
    head = _head(program)
    with open(Path(path), "rb") as file:
        return file.read(len(head)) == head


def _head(program: str | None) -> bytes:
    """The three pickles before the value."""
    machine = _MACHINE if program is None else {**_MACHINE, "program": f"lowshot.compat.{program}"}
    return b"".join(pickle.dumps(part, protocol=2) for part in (_MAGIC, _PROTOCOL, machine))
