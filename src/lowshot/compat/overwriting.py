"""Protection of files: a program replaces those that it wrote itself, and others only when it is asked to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lowshot.errors import InputError
from lowshot.files import Pathlike, is_file, is_folder

VARIABLE = "LOWSHOT_COMPAT_OVERWRITE"


def may_replace_all() -> bool:
    """Return True if the environment variable LOWSHOT_COMPAT_OVERWRITE is 1: files of others may be replaced too.

    Raises:
        InputError: The variable is neither 0 nor 1.
    """
    text = os.environ.get(VARIABLE, "0")
    if text not in ("0", "1"):
        raise InputError(f"environment variable {VARIABLE} is {text!r}: expected 1, to replace any file, or 0")
    return text == "1"


def require_own(path: Pathlike, flag: str, is_own: Callable[[Path], bool]) -> None:
    """Refuse to replace a file that the program did not write, or a folder.

    Args:
        path (str or path): The file to write.
        flag (str): The flag that names it, for the message.
        is_own (callable): Tells from the content of an existing file whether this program wrote it.

    Raises:
        InputError: There is a folder of this name; or the file exists, something else wrote it, and
            LOWSHOT_COMPAT_OVERWRITE is not 1.
    """
    path = Path(path)
    if is_folder(path):
        raise InputError(f"{flag}: {path} is a folder, but a file of this name is to be written: move it away")
    if is_file(path) and not may_replace_all() and not is_own(path):
        raise InputError(
            f"{flag}: {path} was not written by this program and would be replaced: give another place, move the file "
            f"away, or set {VARIABLE}=1 to replace it"
        )
