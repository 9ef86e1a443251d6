"""List the images and folders under a root, in a form that is the same for a folder and a zip."""

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
        name (str): The name of the root in error messages.
        files (list of str): The relative paths of the images, with ``/``, in any order.
        content (list of int): A number per file that changes with its content: its size or checksum.
        folders (set of str): The relative paths of the folders, empty ones included.
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
    """True if the extension of a path is that of a format that can be decoded."""
    return os.path.splitext(path)[1].lower() in EXTENSIONS


def is_hidden(path: str) -> bool:
    """True if a path is, or lies in, something that an operating system left behind."""
    return any(name.startswith(".") or name == "__MACOSX" for name in path.split("/"))


def require_folder(root: Path) -> None:
    """Check that a folder of images exists.

    Raises:
        InputError: It does not exist or is not a folder.
    """
    if not root.is_dir():
        raise InputError(f"image folder {root} {'is not a folder' if root.exists() else 'does not exist'}")


def list_folder(root: str | Path) -> Listing:
    """List everything under a folder, following links; the content numbers are file sizes.

    Raises:
        InputError: The folder is missing or cannot be read, or a link leads back to a folder that it lies in.
    """
    root = Path(root)
    require_folder(root)
    files: list[str] = []
    sizes: list[int] = []
    folders: set[str] = set()
    pending: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(root),))]
    while pending:
        folder, parents = pending.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = f"{folder}{entry.name}"
                    if is_hidden(entry.name):
                        continue
                    if entry.is_dir():
                        real = os.path.realpath(entry.path)
                        if real in parents:
                            raise InputError(f"{entry.path} links back to a folder that it lies in: remove the link")
                        folders.add(path)
                        pending.append((f"{path}/", (*parents, real)))
                    elif is_image(path):
                        files.append(path)
                        sizes.append(entry.stat().st_size)
        except OSError as error:
            raise InputError(f"{error.filename or root / folder} cannot be read: {error.strerror or error}") from None
    return Listing(str(root), files, sizes, folders)
