"""Load torch files without running anything in them, and save files that load this way."""

from __future__ import annotations

import functools
import pickle
import warnings
from pathlib import Path
from typing import Any

from lowshot.errors import InputError
from lowshot.files import Pathlike, atomic_path, read_bytes
from lowshot.torch_files.numpy_arrays import restore_arrays, safe_globals
from lowshot.torch_files.python2 import translate_strings
from lowshot.torch_files.refusals import explain_refusal


def load_torch(path: Pathlike, what: str = "checkpoint") -> Any:
    """Load a torch file onto the CPU with ``weights_only``.

    NumPy arrays and numbers, which old files hold next to tensors, are read as data too, and so are files that Python 2
    wrote.

    Args:
        path (str or path): The file, in either of torch's formats.
        what (str): The noun for the file in error messages.

    Returns:
        The saved value, made of tensors, NumPy arrays, numbers, text and plain containers.

    Raises:
        InputError: The file is missing, truncated, not a torch file, or holds anything but data.
    """
    if not Path(path).is_file():
        raise InputError(f"{what} {path} does not exist")
    try:
        return restore_arrays(_load(path))
    except Exception as error:  # damaged bytes make readers raise errors of any kind
        raise InputError(f"{what} {path} {explain_refusal(error, Path(path))}") from None


def save_torch(path: Pathlike, value: Any) -> None:
    """Save a value atomically in the format that :func:`load_torch` reads; equal values give equal bytes.

    Args:
        path (str or path): The file to write.
        value: The tensors, numbers, text and plain containers to save.
    """
    import torch

    # torch writes the name of a path into the file, but not that of an open file.
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        torch.save(value, file)


def _load(path: Pathlike) -> Any:
    import torch

    read = functools.partial(torch.load, map_location="cpu", weights_only=True)
    # torch warns of unusual protocols, which it then reads or refuses.
    with torch.serialization.safe_globals(safe_globals()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected pickle protocol")
        try:
            return read(path)
        except (pickle.UnpicklingError, UnicodeDecodeError) as error:
            if not (isinstance(error, UnicodeDecodeError) or "operand 84" in str(error)):
                raise
            return read(translate_strings(read_bytes(path)))
