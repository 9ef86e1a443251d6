"""Explain why a torch file is not read. Its pickles are parsed for the names they call, and never run."""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lowshot.torch_files.numpy_arrays import safe_globals
from lowshot.torch_files.python2 import LEGACY_PICKLES

_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})


def explain_refusal(error: Exception, path: Path) -> str:
    """Say why torch's safe reader raised ``error``, as the end of a sentence that begins with the file."""
    calls = _parse_pickles(path)
    # torch names what it refused, without its module if that is builtins.
    named = re.findall(r"GLOBAL (\S+)", str(error))
    full_names = [name for name in calls if named and name.endswith(named[0])]
    if "legacy .tar format" in str(error):  # torch goes on to advise an unsafe reader
        why = "it is a tar archive, in which only the first versions of torch saved, and no safe reader knows it"
    elif refused := full_names or named or calls:
        why = f"it calls for {refused[0]!r}"
    elif (protocol := _early_protocol(path)) is not None:
        why = f"its pickle is of protocol {protocol}, and those of 2 to 5 are read: save it again with a later one"
    elif not isinstance(error, pickle.UnpicklingError):
        reason = (str(error) or type(error).__name__).split("\n")[0]
        return f"is truncated or not a file that torch wrote: {reason}"
    else:
        weights_only = str(error).startswith("Weights only")
        why = "it is damaged or holds more than plain tensors" if weights_only else str(error)
    return (
        f"was refused: {why}. Only numbers, text and plain containers of them are read, "
        "because anything else in a pickle can run code when it is opened"
    )


def _early_protocol(path: Path) -> int | None:
    """The protocol, 0 or 1, of a whole pickle that does not name it, as later ones do; None for other files."""
    with suppress(Exception), _pickles(path) as file:
        protocols = [opcode.proto for opcode, *_ in pickletools.genops(file)]
        return max(protocols) if max(protocols) < 2 else None
    return None


def _parse_pickles(path: Path) -> list[str]:
    """The names that the pickles of a file call beyond those of plain tensors.

    Reads either of torch's formats and any other pickle file. A damaged file is read as far as it is intact.
    """
    calls: dict[str, None] = {}
    with suppress(Exception), _pickles(path) as file:
        for _ in range(LEGACY_PICKLES):  # newer files have one, after which parsing ends with an error
            calls |= dict.fromkeys(_names(file))
    return [name for name in calls if not _is_plain(name)]


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


def _names(file: IO[bytes]) -> Iterator[str]:
    """The names that one pickle looks up."""
    pushed: list[object] = []  # strings as they are, all else as None: names are looked up by the last two
    memo: dict[str, object] = {}
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
            pushed.append(None)
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(map(str, pushed[-2:]))
            pushed.append(None)
        elif opcode.name in _PUT:
            memo[str(len(memo) if argument is None else argument)] = pushed[-1] if pushed else None
        elif opcode.name in _GET:
            pushed.append(memo.get(str(argument)))
        elif opcode.stack_after:
            pushed.append(argument if isinstance(argument, str) else None)


def _is_plain(name: str) -> bool:
    """True for the names that files of nothing but tensors, arrays and containers call."""
    module, _, last = name.rpartition(".")
    return (
        name in ("collections.OrderedDict", "_codecs.encode", "torch.storage._load_from_bytes")
        or (module == "torch" and last.endswith("Storage"))
        or (module == "torch._utils" and last.startswith("_rebuild_"))
        or name in {allowed[1] for allowed in safe_globals() if isinstance(allowed, tuple)}
    )
