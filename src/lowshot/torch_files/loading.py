"""Load torch files without running anything in them, and save files that load this way."""

from __future__ import annotations

import functools
import io
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

from lowshot.errors import InputError
from lowshot.files import Pathlike, atomic_path, is_file, read_bytes
from lowshot.torch_files.numpy_arrays import as_bytes, restore_arrays, safe_globals
from lowshot.torch_files.protocols import translate_protocol
from lowshot.torch_files.python2 import translate_strings
from lowshot.torch_files.refusals import explain_refusal


def load_torch(path: Pathlike, what: str = "checkpoint") -> Any:
    """Load a torch file onto the CPU with ``weights_only``.

    NumPy arrays and numbers, which old files hold next to tensors, are read as data too, and so are files that Python 2
    wrote, pickles of protocols 3 to 5, and pickles that torch did not write.

    Args:
        path (str or path): The file, in either of torch's formats or a pickle of protocol 2 or later.
        what (str): The noun for the file in error messages.

    Returns:
        The saved value, made of tensors, NumPy arrays, numbers, text and plain containers.

    Raises:
        InputError: The file is missing, truncated, not a torch file, or holds anything but data.
    """
    if not is_file(path):
        raise InputError(f"{what} {path} does not exist")
    try:
        return restore_arrays(_load(path))
    except Exception as error:  # damaged bytes make readers raise errors of any kind
        raise InputError(f"{what} {path} {explain_refusal(error, Path(path))}") from None


def save_torch(path: Pathlike, value: Any) -> None:
    """Save a value atomically in the format that :func:`load_torch` reads; equal values give equal bytes.

    Args:
        path (str or path): The file to write.
        value (object): The tensors, numbers, text and plain containers to save.
    """
    import torch

    # torch writes the name of a path into the file, but not that of an open file.
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        torch.save(_without_sharing(value), file)


def _without_sharing(value: Any) -> Any:
    """Rebuild plain containers so that equal texts are one object and equal containers are not.

    Pickle writes an object that it has seen as a reference, so that bytes would depend on where equal values came from.
    """
    if type(value) is str:
        return sys.intern(value)
    if type(value) is dict:
        return {_without_sharing(key): _without_sharing(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without_sharing(item) for item in value)
    return value


def _load(path: Pathlike) -> Any:
    import torch

    read = functools.partial(torch.load, map_location="cpu", weights_only=True)
    allowed = [*safe_globals(), (_load_storage, "torch.storage._load_from_bytes")]
    # torch warns of unusual protocols, which it then reads or refuses.
    with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected pickle protocol")
        try:
            return read(path)
        except Exception as error:
            if (translated := _translate(read_bytes(path))) is None:
                raise error
            return read(io.BytesIO(translated))


def _translate(content: bytes) -> bytes | None:
    """The file in the words that torch's safe reader knows; None where it cannot be parsed or needs no translation."""
    try:
        translated = translate_protocol(content)
        if not zipfile.is_zipfile(io.BytesIO(content)):
            translated = translate_strings(translated)
    except Exception:  # damaged bytes make parsers raise errors of any kind
        return None
    return None if translated == content else translated


def _load_storage(content: Any) -> Any:
    """The numbers of a tensor that was pickled without torch: a torch file of its own, inside the pickle."""
    import torch

    return torch.load(io.BytesIO(as_bytes(content)), map_location="cpu", weights_only=True)
