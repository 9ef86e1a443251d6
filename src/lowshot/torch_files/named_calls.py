"""What a refused pickle would have called, and in which protocol it is: taken apart, never run."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from lowshot.torch_files.numpy_arrays import stand_ins

# A torch file from before version 1.6 begins with so many pickles; any other pickle file has one.
_PICKLES = 5
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})


class Pickled(NamedTuple):
    """What the pickles of a file say.

    Attributes:
        calls: names that no file of plain tensors needs, in their order, each once.
        protocol: the highest that a pickle in it declares.
    """

    calls: list[str]
    protocol: int


def taken_apart(path: Path) -> Pickled:
    """Walk through the pickles of a torch file of either container, or of any pickle file, as far as they are whole."""
    calls: dict[str, None] = {}
    protocol = 0
    # A file may be damaged, or end after fewer pickles: what was found until there counts.
    with suppress(Exception), _pickles(path) as file:
        for _ in range(_PICKLES):
            for name, argument in _names(file):
                if name:
                    calls[name] = None
                else:
                    protocol = max(protocol, argument)
    return Pickled([name for name in calls if not _plain(name)], protocol)


@contextmanager
def _pickles(path: Path) -> Iterator[IO[bytes]]:
    """The stream that begins with the first pickle."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        (entry,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(entry) as file:
            yield file


def _names(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """The names that one pickle looks up, and its declared protocol as a number without a name."""
    pushed: list[object] = []  # strings as they are, all else as None: names are looked up by the last two
    memo: dict[str, object] = {}
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "PROTO":
            yield "", int(argument or 0)
        elif opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", "."), 0
            pushed.append(None)
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(map(str, pushed[-2:])), 0
            pushed.append(None)
        elif opcode.name in _PUT:
            memo[str(len(memo) if argument is None else argument)] = pushed[-1] if pushed else None
        elif opcode.name in _GET:
            pushed.append(memo.get(str(argument)))
        elif opcode.stack_after:
            pushed.append(argument if isinstance(argument, str) else None)


def _plain(name: str) -> bool:
    """Whether files of nothing but tensors, arrays and containers hold this name."""
    module, _, last = name.rpartition(".")
    return (
        name in ("collections.OrderedDict", "_codecs.encode")
        or (module == "torch" and last.endswith("Storage"))
        or (module == "torch._utils" and last.startswith("_rebuild_"))
        or name in {stand_in[1] for stand_in in stand_ins() if isinstance(stand_in, tuple)}
    )
