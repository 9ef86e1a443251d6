"""Reading torch files without running anything in them, and writing files that read so."""

from __future__ import annotations

import functools
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

from lowshot.errors import InputError
from lowshot.files import Pathlike, atomic_path, read_bytes
from lowshot.torch_files.named_calls import taken_apart
from lowshot.torch_files.numpy_arrays import restored, stand_ins
from lowshot.torch_files.python2 import translated

_READABLE_PROTOCOL = 3


def load_torch(path: Pathlike, what: str = "checkpoint") -> Any:
    """Load a torch file onto the CPU with ``weights_only``: tensors and plain containers, never code.

    Numpy arrays and numbers, which old files hold beside tensors, are read as data too, and so is what Python 2 wrote.

    Raises:
        InputError: the file is missing, truncated, not a torch file, or holds anything but data.
    """
    if not Path(path).is_file():
        raise InputError(f"{what} {path} does not exist")
    try:
        return restored(_load_torch(path))
    except Exception as error:  # whatever a reader trips over in damaged bytes, too
        raise InputError(f"{what} {path} {_refusal(error, Path(path))}") from None


def _refusal(error: Exception, path: Path) -> str:
    """Why a torch file was not read."""
    pickled = taken_apart(path)
    # torch names what it refused, without its module if that is builtins, and nothing in later protocols.
    torchs = re.findall(r"GLOBAL (\S+)", str(error))
    found = [name for name in pickled.calls if torchs and name.endswith(torchs[0])]
    if "legacy .tar format" in str(error):  # torch goes on to advise an unsafe reader
        why = "it is a tar archive, in which only the first versions of torch saved, and no safe reader knows it"
    elif called := found or torchs or pickled.calls:
        why = f"it calls for {called[0]!r}"
    elif not isinstance(error, pickle.UnpicklingError):
        reason = (str(error) or type(error).__name__).split("\n")[0]
        return f"is truncated or not a file that torch wrote: {reason}"
    elif pickled.protocol > _READABLE_PROTOCOL:
        why = (
            f"it is in pickle protocol {pickled.protocol}, and torch's safe reader knows none above "
            f"{_READABLE_PROTOCOL}; save it again with the one that torch.save takes by itself"
        )
    else:
        weights_only = str(error).startswith("Weights only")
        why = "it is damaged or holds more than plain tensors" if weights_only else str(error)
    return (
        f"was refused: {why}. Only numbers, text and plain containers of them are read, "
        "because anything else in a pickle can run code when it is opened"
    )


def _load_torch(path: Pathlike) -> Any:
    import torch

    read = functools.partial(torch.load, map_location="cpu", weights_only=True)
    # torch warns of unusual protocols, which it then reads or refuses.
    with torch.serialization.safe_globals(stand_ins()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected pickle protocol")
        try:
            return read(path)
        except (pickle.UnpicklingError, UnicodeDecodeError) as error:
            if not (isinstance(error, UnicodeDecodeError) or "operand 84" in str(error)):
                raise
            return read(translated(read_bytes(path)))


def save_torch(path: Pathlike, value: Any) -> None:
    """Write tensors and plain containers atomically, in the format :func:`load_torch` reads."""
    import torch

    # torch writes the name of a path into the file; through an open file equal values give equal bytes.
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        torch.save(value, file)
