"""List the pictures and folders under a root, in a form that is the same for a folder and a zip."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lowshot.data.formats import EXTENSIONS, RAW_EXTENSIONS, SIGNATURE_BYTES, extension, is_picture
from lowshot.errors import InputError
from lowshot.files import exists, is_folder, open_regular

_HIDDEN = re.compile(
    r"(?:^|/)(?:\.|(?:__MACOSX|@eaDir|#recycle|\$RECYCLE\.BIN|System Volume Information|lost\+found)(?:/|$))"
)


@dataclass(frozen=True)
class Listing:
    """The pictures and folders under a root.

    Attributes:
        name (str): The name of the root in error messages.
        files (list of str): The relative paths of the pictures, with ``/``, in any order.
        content (list of int or None): A number per file that changes with its content, where the listing has them.
        folders (set of str): The relative paths of the folders, empty ones included.
        others (list of (str, str)): The relative paths of the files that are left out, each with what it is in a
            word: its extension, or why it is no file.
        hidden (int): The number of hidden files and folders, which are left out with all that is in them.
    """

    name: str
    files: list[str]
    content: list[int] | None
    folders: set[str]
    others: list[tuple[str, str]] = field(default_factory=list)
    hidden: int = 0

    def __post_init__(self) -> None:
        for path in (*self.files, *self.folders):
            if not path.isascii() and any("\ud800" <= letter <= "\udfff" for letter in path):
                raise InputError(f"{self.name}: the name {path!r} is not UTF-8: rename it")


def kind_of_name(path: str) -> str | None:
    """The word for a file that is no picture, judged by its name; None for a picture's name."""
    kind = extension(path)
    return None if kind in EXTENSIONS else kind or "without extension"


def kind_of_content(path: str, head: bytes) -> str | None:
    """The word for a file that is no picture, judged by its first bytes where its name is no picture's."""
    kind = kind_of_name(path)
    if kind is None or kind in RAW_EXTENSIONS:
        return kind
    return None if is_picture(head) else kind


def hidden_part(path: str) -> str | None:
    """The start of a path up to what an operating system or a file server left behind; None where it has none."""
    if (found := _HIDDEN.search(path)) is None:
        return None
    end = path.find("/", found.start() + 1)
    return path if end < 0 else path[:end]


def require_folder(root: Path) -> None:
    """Check that a folder of images exists.

    Raises:
        InputError: It does not exist or is not a folder.
    """
    if not is_folder(root):
        raise InputError(f"image folder {root} {'is not a folder' if exists(root) else 'does not exist'}")


def list_folder(root: str | Path) -> Listing:
    """List everything under a folder, following links.

    A link of a picture's name that leads nowhere is listed as a picture, and is refused when it is loaded.

    Raises:
        InputError: The folder is missing or cannot be read, or a link leads back to a folder that it lies in.
    """
    root = Path(root)
    require_folder(root)
    files: list[str] = []
    folders: set[str] = set()
    others: list[tuple[str, str]] = []
    hidden = 0
    pending: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(root),))]
    while pending:
        folder, parents = pending.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = f"{folder}{entry.name}"
                    if hidden_part(entry.name) is not None:
                        hidden += 1
                    elif _is(entry.is_dir):
                        real = os.path.realpath(entry.path)
                        if real in parents:
                            raise InputError(f"{entry.path} links back to a folder that it lies in: remove the link")
                        folders.add(path)
                        pending.append((f"{path}/", (*parents, real)))
                    elif (kind := _kind(entry)) is None:
                        files.append(path)
                    else:
                        others.append((path, kind))
        except OSError as error:
            raise InputError(f"{error.filename or root / folder} cannot be read: {error.strerror or error}") from None
    return Listing(str(root), files, None, folders, others, hidden)


def _kind(entry: os.DirEntry[str]) -> str | None:
    """The word for an entry that is neither folder nor picture; None for a picture."""
    kind = kind_of_name(entry.name)
    if not _is(entry.is_file):
        if not entry.is_symlink() or os.path.exists(entry.path):
            return "no regular file"
        return None if kind is None else "broken link"
    if kind is None or kind in RAW_EXTENSIONS:
        return kind
    try:
        with open_regular(entry.path) as file:
            return kind_of_content(entry.name, file.read(SIGNATURE_BYTES))
    except OSError:
        return "unreadable"


def _is(test: Callable[[], bool]) -> bool:
    """The answer of ``entry.is_dir`` or ``is_file``; False for a link in a circle, which raises."""
    try:
        return test()
    except OSError:
        return False
