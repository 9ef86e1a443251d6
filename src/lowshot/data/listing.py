"""What a folder holds, as plain lists: the form in which folders and archives are the same thing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lowshot.data.decode import EXTENSIONS
from lowshot.errors import InputError


@dataclass(frozen=True)
class Listing:
    """The images and folders under a root; hidden ones and ``__MACOSX`` are left out.

    Attributes:
        name: what messages call the root.
        files: relative paths of the images, with ``/``, in any order.
        content: an integer per file that changes with its content: its size or checksum.
        folders: relative paths of the folders, the empty ones too.
    """

    name: str
    files: list[str]
    content: list[int]
    folders: set[str]

    def __post_init__(self) -> None:
        for path in (*self.files, *self.folders):
            if not path.isascii() and any("\ud800" <= letter <= "\udfff" for letter in path):
                raise InputError(f"{self.name}: the name {path!r} is not UTF-8: rename it")


def is_image(path: str) -> bool:
    """Whether a path ends like an image that can be decoded."""
    return os.path.splitext(path)[1].lower() in EXTENSIONS


def is_hidden(path: str) -> bool:
    """Whether a path is, or lies in, something that an operating system left behind."""
    return any(step.startswith(".") or step == "__MACOSX" for step in path.split("/"))


def list_folder(root: str | Path) -> Listing:
    """Everything under a folder, links followed; content marks are file sizes.

    Raises:
        InputError: it is missing, not a folder, or cannot be read; or a link leads back to a folder around it.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"image folder {root} {'is not a folder' if root.exists() else 'does not exist'}")
    files: list[str] = []
    sizes: list[int] = []
    folders: set[str] = set()
    pending: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(root),))]
    while pending:
        folder, around = pending.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = f"{folder}{entry.name}"
                    if is_hidden(entry.name):
                        continue
                    if entry.is_dir():
                        real = os.path.realpath(entry.path)
                        if real in around:
                            raise InputError(f"{entry.path} links back to a folder that it lies in: remove the link")
                        folders.add(path)
                        pending.append((f"{path}/", (*around, real)))
                    elif is_image(path):
                        files.append(path)
                        sizes.append(entry.stat().st_size)
        except OSError as error:
            raise InputError(f"{error.filename or root / folder} cannot be read: {error.strerror or error}") from None
    return Listing(str(root), files, sizes, folders)
